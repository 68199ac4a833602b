//! `k8shost kubeconfig`: what it prints, and what it refuses.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8shost_kv_cluster::Authority;
use k8shost_tests::{Rest, Server, names, run};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What it prints, which must be YAML.
async fn print(args: &[&str], env: &[(&str, &str)], folder: &TempDir) -> Value {
    let output = run(&[&["kubeconfig"], args].concat(), env, folder.path()).await;
    assert!(output.status.success(), "{output:?}");
    serde_saphyr::from_str(&output.stdout).unwrap()
}

fn whole(name: &str, cluster: &Value, user: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "contexts": [{
            "name": name,
            "context": {"cluster": name, "user": name, "namespace": "default"},
        }],
        "current-context": name,
        "users": [{"name": name, "user": user}],
    })
}

#[tokio::test]
async fn it_says_where_a_project_is() {
    let folder = TempDir::new().unwrap();
    let cluster = |server: &str| json!({ "server": server });
    let (nothing, token) = (json!({}), json!({"token": "none"}));
    let web = ["--org", "acme", "--project", "web"];

    let usual = "http://127.0.0.1:6443/orgs/default-org/projects/default-project";
    let found = print(&[], &[], &folder).await;
    assert_eq!(
        found,
        whole("default-org/default-project", &cluster(usual), &nothing)
    );

    let at = [("K8SHOST_LISTEN", "[::1]:7000,127.0.0.1:7001")];
    let found = print(&web, &at, &folder).await;
    let expected = cluster("http://[::1]:7000/orgs/acme/projects/web");
    assert_eq!(found, whole("acme/web", &expected, &nothing));

    fs::write(
        folder.path().join("k.toml"),
        "tls-cert = 'c'\ntls-key = 'k'",
    )
    .unwrap();
    let found = print(&[&web[..], &["--config", "k.toml"]].concat(), &[], &folder).await;
    let expected = cluster("https://127.0.0.1:6443/orgs/acme/projects/web");
    assert_eq!(found, whole("acme/web", &expected, &token));

    let tls = Authority::new().unwrap().issue(folder.path()).unwrap();
    let pem = fs::read(&tls.ca).unwrap();
    let args = [
        &web[..],
        &["--server", "https://k8shost.example:443/k8s/"],
        &["--context", "a \"b\"\n: c"],
        &["--certificate-authority", "ca.pem"],
    ];
    let found = print(&args.concat(), &[], &folder).await;
    let expected = json!({
        "server": "https://k8shost.example:443/k8s/orgs/acme/projects/web",
        "certificate-authority-data": STANDARD.encode(pem),
    });
    assert_eq!(found, whole("a \"b\"\n: c", &expected, &token));
}

#[tokio::test]
async fn what_it_prints_leads_to_the_project() {
    let server = Server::start().await;
    let client = server.client().await;
    client.make_tenant("acme", "web").await;
    let address = server.address().to_string();
    let folder = TempDir::new().unwrap();
    let args = ["--org", "acme", "--project", "web", "--listen", &address];
    let found = print(&args, &[], &folder).await;
    let url = found["clusters"][0]["cluster"]["server"].as_str().unwrap();
    let root = url.strip_prefix(&format!("http://{address}")).unwrap();
    let rest = Rest::new(server.address());
    let namespaces = rest.get(&format!("{root}/api/v1/namespaces")).await;
    assert!(names(&namespaces).contains(&"kube-system"));
}

#[tokio::test]
async fn what_makes_no_sense_is_named() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("text.pem"), "text").unwrap();
    for (args, words) in [
        (&["--org", "acme"][..], &["--project"][..]),
        (&["--project", "web"], &["--org"]),
        (&["--org", "Acme", "--project", "web"], &["Acme"]),
        (&["--org", "acme", "--project", "a/b"], &["a/b"]),
        (
            &["--server", "127.0.0.1:6443"],
            &["--server", "https://host:port"],
        ),
        (&["--server", "ftp://host"], &["ftp://host"]),
        (&["--server", "https://host/?a=b"], &["?a=b"]),
        (&["--server", "https://me@host"], &["me@host"]),
        (&["--listen", "127.0.0.1:0"], &["--server"]),
        (&["--context", ""], &["--context"]),
        (
            &["--certificate-authority", "nowhere.pem"],
            &["nowhere.pem"],
        ),
        (
            &["--certificate-authority", "text.pem"],
            &["text.pem", "no certificate"],
        ),
    ] {
        let output = run(&[&["kubeconfig"], args].concat(), &[], folder.path()).await;
        assert!(!output.status.success(), "{args:?}");
        assert_eq!(output.stdout, "", "{args:?}");
        for word in words {
            assert!(output.stderr.contains(word), "'{word}': {}", output.stderr);
        }
    }
}
