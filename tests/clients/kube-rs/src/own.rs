//! A server of a case's own, which speaks TLS.

use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ListParams};
use kube::{Client, Config};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::{World, same};

pub(crate) async fn tls(world: World) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let signed = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?;
    let (cert, key) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    std::fs::write(&cert, signed.cert.pem())?;
    std::fs::write(&key, signed.signing_key.serialize_pem())?;
    let mut server = Command::new(world.binary.context("this case needs --binary")?)
        .args(["--listen", "127.0.0.1:0", "--store", "memory"])
        .arg("--tls-cert")
        .arg(&cert)
        .arg("--tls-key")
        .arg(&key)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(server.stdout.take().context("its output")?).lines();
    let address = loop {
        let line = lines
            .next_line()
            .await?
            .context("the server does not start")?;
        if let Some(address) = line.strip_prefix("listening on ") {
            break address.to_owned();
        }
    };
    same(address.starts_with("https://"), true)?;

    let mut config = Config::new(address.parse()?);
    config.root_cert = Some(vec![signed.cert.der().to_vec()]);
    let namespaces: Api<Namespace> = Api::all(Client::try_from(config)?);
    same(
        namespaces.list(&ListParams::default()).await?.items.len(),
        4,
    )?;

    let stranger = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?;
    let mut config = Config::new(address.parse()?);
    config.root_cert = Some(vec![stranger.cert.der().to_vec()]);
    let namespaces: Api<Namespace> = Api::all(Client::try_from(config)?);
    if namespaces.list(&ListParams::default()).await.is_ok() {
        bail!("a certificate of nobody was trusted");
    }
    server.kill().await?;
    Ok(())
}
