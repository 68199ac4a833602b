//! The process: settings, refusals to start, signals, `check`.

use std::{fs, net::IpAddr, path::Path, time::Duration};

use k8shost_tests::{
    Output, POD, SERVICE, Server, name, names, pod, refused, run, service, text, within,
};
use serde_json::{Value, json};
use tonic::Code;

fn folder() -> tempfile::TempDir {
    tempfile::TempDir::with_prefix("k8shost-test-").expect("a folder can be made")
}

/// The binary must fail, and say each of these words.
#[track_caller]
fn assert_refused(output: &Output, words: &[&str]) {
    assert!(!output.status.success(), "it has not failed: {output:?}");
    for word in words {
        assert!(
            output.stderr.contains(word),
            "'{word}' is not in {}",
            output.stderr
        );
    }
    assert!(!output.stdout.contains("listening on"), "{output:?}");
}

#[tokio::test]
async fn only_loopback_is_listened_on() {
    let folder = folder();
    for address in ["0.0.0.0:0", "192.168.0.1:0", "[::]:0"] {
        let output = run(&["--listen", address], &[], folder.path()).await;
        assert_refused(&output, &[address.trim_end_matches(":0"), "loopback"]);
    }
    assert!(!folder.path().join("data").exists(), "nothing was made");
}

#[tokio::test]
async fn a_wrong_setting_is_named_wherever_it_stands() {
    let folder = folder();
    for (args, words) in [
        (vec!["--retention", "5"], vec!["--retention", "5"]),
        (vec!["--node-ports", "9-1"], vec!["--node-ports", "9-1"]),
        (
            vec!["--service-cidrs", "10.0.0.0/31"],
            vec!["--service-cidrs", "10.0.0.0/31"],
        ),
        (
            vec!["--service-cidrs", "10.0.0.0/16,10.1.0.0/16"],
            vec!["--service-cidrs", "families"],
        ),
        (
            vec!["--store", "paper"],
            vec!["paper", "embedded", "memory"],
        ),
        (vec!["--retension", "5m"], vec!["--retension"]),
        (vec!["--log", "loud=very=much"], vec!["--log"]),
        (vec!["sevre"], vec!["sevre"]),
    ] {
        assert_refused(&run(&args, &[], folder.path()).await, &words);
    }
    let output = run(&["serve"], &[("K8SHOST_RETENTION", "soon")], folder.path()).await;
    assert_refused(&output, &["soon"]);
    let file = folder.path().join("k8shost.toml");
    for (text, words) in [
        ("retension = \"5m\"", vec!["retension", "k8shost.toml"]),
        ("retention = 5", vec!["retention", "k8shost.toml"]),
        ("listen = [\"0.0.0.0:6443\"]", vec!["0.0.0.0:6443"]),
        ("not toml", vec!["k8shost.toml"]),
    ] {
        fs::write(&file, text).unwrap();
        assert_refused(
            &run(&["--config", "k8shost.toml"], &[], folder.path()).await,
            &words,
        );
    }
    let output = run(&["--config", "nowhere.toml"], &[], folder.path()).await;
    assert_refused(&output, &["nowhere.toml"]);
}

#[tokio::test]
async fn flags_weigh_more_than_the_environment_and_that_more_than_the_file() {
    let file = folder();
    let path = file.path().join("k8shost.toml");
    fs::write(
        &path,
        "service-cidrs = [\"10.1.0.0/24\"]\nnode-ports = \"31000-31000\"\n",
    )
    .unwrap();
    let config = path.display().to_string();
    let first = async |args: &[&str], env: &[(&str, &str)]| -> String {
        let server = Server::with_env(args, env).await;
        let client = server.client().await;
        let spec = json!({"metadata": {"name": "a"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}});
        let made = client.create(SERVICE, spec).await.unwrap();
        assert_eq!(made["spec"]["ports"][0]["nodePort"], 31000, "from the file");
        let ip: IpAddr = text(&made, "/spec/clusterIP").parse().unwrap();
        ip.to_string().rsplit_once('.').unwrap().0.to_owned()
    };
    let env = [("K8SHOST_SERVICE_CIDRS", "10.2.0.0/24")];
    assert_eq!(first(&["--config", &config], &[]).await, "10.1.0");
    assert_eq!(first(&["--config", &config], &env).await, "10.2.0");
    assert_eq!(
        first(
            &["--config", &config, "--service-cidrs", "10.3.0.0/24"],
            &env
        )
        .await,
        "10.3.0"
    );
    assert_eq!(
        first(&[], &[("K8SHOST_CONFIG", &config), env[0]]).await,
        "10.2.0"
    );
}

#[tokio::test]
async fn help_names_every_setting() {
    let folder = folder();
    let help = run(&["--help"], &[], folder.path()).await;
    assert!(help.status.success());
    for word in [
        "serve",
        "check",
        "--listen",
        "--tls-cert",
        "--tls-key",
        "--data-dir",
        "--store",
        "--service-cidrs",
        "--node-ports",
        "--retention",
        "--idle-after",
        "--disk-reserve-mib",
        "--bookmark-interval",
        "--drain-timeout",
        "--log",
        "--log-format",
        "--config",
        "K8SHOST_LISTEN",
        "6443",
    ] {
        assert!(
            help.stdout.contains(word),
            "{word} is not in {}",
            help.stdout
        );
    }
    let version = run(&["--version"], &[], folder.path()).await;
    assert!(version.stdout.starts_with("k8shost "), "{version:?}");
}

#[tokio::test]
async fn it_says_where_it_listens_where_the_data_are_and_what_to_try() {
    let server = Server::start().await;
    let tried = server.printed("try: ").await;
    let address = server.address();
    assert!(
        tried.contains(&address.to_string()),
        "the address really listened on: {tried}"
    );
    let data = server.printed("data in ").await;
    let real = server.data().canonicalize().unwrap();
    assert!(data.contains(&real.display().to_string()), "{data}");
}

#[tokio::test]
async fn serve_is_what_no_subcommand_means() {
    let server = Server::with(&["serve"]).await;
    server.client().await.create(POD, pod("a")).await.unwrap();
}

#[tokio::test]
async fn it_listens_on_several_addresses() {
    // Whether there is IPv6 on this machine is the kernel's business.
    let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    let addresses = if has_ipv6 {
        "127.0.0.1:0,[::1]:0"
    } else {
        "127.0.0.1:0,127.0.0.2:0"
    };
    let server = Server::with(&["--listen", addresses]).await;
    server.printed("try: ").await;
    let listening: Vec<String> = server
        .stdout()
        .iter()
        .filter_map(|l| l.strip_prefix("listening on http://").map(str::to_owned))
        .collect();
    assert_eq!(listening.len(), 2, "{listening:?}");
    for address in listening {
        let client = k8shost_tests::Client::connect(address.parse().unwrap()).await;
        client.list(POD, json!({})).await.unwrap();
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let server = Server::start().await;
    let folder = folder();
    let address = server.address().to_string();
    assert_refused(
        &run(&["--listen", &address], &[], folder.path()).await,
        &[&address],
    );
}

#[tokio::test]
async fn a_data_folder_has_one_server() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create(POD, pod("a")).await.unwrap();
    let data = server.data().display().to_string();
    let second = run(
        &["--data-dir", &data, "--listen", "127.0.0.1:0"],
        &[],
        server.folder(),
    )
    .await;
    assert_refused(&second, &[&data]);
    let check = run(&["check", "--data-dir", &data], &[], server.folder()).await;
    assert_refused(&check, &[&data]);
    client.create(POD, pod("b")).await.unwrap();
}

#[tokio::test]
async fn memory_keeps_nothing() {
    let mut server = Server::with(&["--store", "memory"]).await;
    server.client().await.create(POD, pod("a")).await.unwrap();
    assert!(!server.data().exists(), "no data folder");
    server.restart().await;
    let list = server.client().await.list(POD, json!({})).await.unwrap();
    assert_eq!(list["items"], json!([]));
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let mut server = Server::start().await;
    let client = server.client().await;
    let tenant = client.make_tenant("acme", "web").await;
    let mut before = Vec::new();
    for client in [&client, &tenant] {
        for kind in k8shost_tests::KINDS {
            client.create(kind, kind.object("kept")).await.unwrap();
            before.push(client.list(kind, json!({})).await.unwrap());
        }
    }
    server.restart().await;
    let client = server.client().await;
    let mut after = Vec::new();
    for client in [&client, &client.of("acme", "web")] {
        for kind in k8shost_tests::KINDS {
            after.push(client.list(kind, json!({})).await.unwrap());
        }
    }
    // The lists were read one after the other while others were made.
    let items =
        |lists: &[Value]| -> Vec<Value> { lists.iter().map(|l| l["items"].clone()).collect() };
    assert_eq!(items(&after), items(&before));
}

#[tokio::test]
async fn sigterm_answers_what_is_in_flight_and_ends_well() {
    let mut server = Server::start().await;
    let client = server.client().await;
    let creates: Vec<_> = (0..200)
        .map(|n| {
            let client = client.clone();
            tokio::spawn(async move { client.create(POD, pod(&format!("p{n}"))).await })
        })
        .collect();
    server.terminate();
    let mut made = Vec::new();
    for create in creates {
        match create.await.unwrap() {
            Ok(object) => made.push(name(&object).to_owned()),
            // One that came too late was not begun.
            Err(status) => assert!(
                matches!(
                    status.code(),
                    Code::Unavailable | Code::Cancelled | Code::Unknown | Code::Internal
                ),
                "{status}"
            ),
        }
    }
    assert!(server.ended().await.success(), "{}", server.log());
    server.launch().await;
    let list = server.client().await.list(POD, json!({})).await.unwrap();
    let kept = names(&list);
    for name in &made {
        assert!(
            kept.contains(&name.as_str()),
            "{name} was answered and is gone"
        );
    }
}

#[tokio::test]
async fn stopping_takes_no_longer_than_it_may() {
    let mut server = Server::with(&["--drain-timeout", "500ms"]).await;
    let client = server.client().await;
    // A connection that stays open, and one that never finishes its request.
    client.list(POD, json!({})).await.unwrap();
    let mut stuck = tokio::net::TcpStream::connect(server.address())
        .await
        .unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stuck, b"POST /k8shost.v1.PodService/GetPod HTTP/1.1\r\nhost: x\r\ncontent-type: application/grpc-web+proto\r\ncontent-length: 100\r\n\r\n").await.unwrap();
    let begun = std::time::Instant::now();
    server.terminate();
    server.ended().await;
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    server.launch().await;
    server.client().await.list(POD, json!({})).await.unwrap();
}

#[tokio::test]
async fn logs_are_json_where_nobody_reads_them() {
    let mut server = Server::with(&["--log", "debug"]).await;
    let client = server.client().await.make_tenant("acme", "web").await;
    client.create(POD, pod("a")).await.unwrap();
    server.terminate();
    server.ended().await;
    let log = server.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("not JSON ({e}): {line}")))
        .collect();
    let request = lines
        .iter()
        .find(|line| line["span"]["method"] == "/k8shost.v1.PodService/CreatePod");
    let span = &request.unwrap_or_else(|| panic!("no line of the request in {log}"))["span"];
    assert_eq!(span["tenant"], "acme/web", "{span}");
    assert_eq!(span["outcome"], "OK");
    assert!(span["duration_us"].is_number(), "{span}");
}

#[tokio::test]
async fn check_finds_nothing_wrong_with_a_stopped_store() {
    let mut server = Server::start().await;
    let client = server.client().await;
    for n in 0..50 {
        client.create(POD, pod(&format!("p{n}"))).await.unwrap();
        if n % 3 == 0 {
            client.delete(POD, "", &format!("p{n}")).await.unwrap();
        }
    }
    client
        .make_tenant("acme", "web")
        .await
        .create(SERVICE, service("a"))
        .await
        .unwrap();
    let check = async |server: &Server| {
        let data = server.data().display().to_string();
        run(&["check", "--data-dir", &data], &[], server.folder()).await
    };
    for killed in [false, true] {
        if killed {
            server.launch().await;
            server
                .client()
                .await
                .create(POD, pod("late"))
                .await
                .unwrap();
            server.kill().await;
        } else {
            server.terminate();
            server.ended().await;
        }
        let before = size(&server.data());
        let output = check(&server).await;
        assert!(output.status.success(), "{output:?}");
        for word in ["default-org", "default-project", "acme", "web"] {
            assert!(
                output.stdout.contains(word),
                "{word} is not in {}",
                output.stdout
            );
        }
        assert!(
            size(&server.data()) <= before + 4096,
            "check changes nothing"
        );
    }
    let nothing = run(&["check", "--data-dir", "nowhere"], &[], server.folder()).await;
    assert_refused(&nothing, &["nowhere"]);
    assert!(
        !server.folder().join("nowhere").exists(),
        "check makes no data folder"
    );
}

fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder)
        .map(|e| e.flatten().collect::<Vec<_>>())
        .unwrap_or_default();
    entries
        .iter()
        .map(|entry| match entry.metadata() {
            Ok(m) if m.is_dir() => size(&entry.path()),
            Ok(m) => m.len(),
            Err(_) => 0,
        })
        .sum()
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_serves_reads() {
    // A reserve that no disk has is a disk that is always full.
    let mut server = Server::start().await;
    server.client().await.create(POD, pod("a")).await.unwrap();
    server.terminate();
    server.ended().await;
    let data = server.data().display().to_string();
    let mut full = Server::with(&["--data-dir", &data, "--disk-reserve-mib", "1000000000"]).await;
    let client = full.client().await;
    let status = refused(client.create(POD, pod("b")).await, Code::Unavailable);
    assert!(status.message().contains("full"), "{}", status.message());
    assert_eq!(names(&client.list(POD, json!({})).await.unwrap()), ["a"]);
    let mut watch = client.watch(POD, json!({})).await.unwrap();
    watch.expect("ADDED", "a").await;
    full.kill().await;
    within("the server with room again", server.launch()).await;
    server.client().await.create(POD, pod("b")).await.unwrap();
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        if entry.path().is_dir() {
            found.append(&mut files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

#[tokio::test]
async fn a_damaged_store_is_refused_and_not_taken_for_an_empty_one() {
    const MARK: &[u8] = b"a value that is found again in the files";
    let mut server = Server::start().await;
    let client = server.client().await;
    for n in 0..20 {
        let note = json!({"metadata": {"annotations": {"note": String::from_utf8_lossy(MARK)}}});
        let object = k8shost_tests::merge(pod(&format!("p{n}")), note);
        client.create(POD, object).await.unwrap();
    }
    server.kill().await;
    let mut damaged = 0;
    for path in files(&server.data()) {
        let mut bytes = fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(MARK.len()).position(|window| window == MARK) {
            bytes[at] ^= 1;
            fs::write(&path, bytes).unwrap();
            damaged += 1;
        }
    }
    assert!(damaged > 0, "the values are in the files");
    let data = server.data().display().to_string();
    let check = run(&["check", "--data-dir", &data], &[], server.folder()).await;
    assert_refused(&check, &["damaged"]);
    let start = ["--listen", "127.0.0.1:0", "--data-dir", &data];
    assert_refused(&run(&start, &[], server.folder()).await, &["damaged"]);
}
