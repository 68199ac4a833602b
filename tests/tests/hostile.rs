//! Hostile input: whatever is sent, the answer is a typed error, and the server goes on.

use bytes::Bytes;
use k8shost_tests::{
    Client, KINDS, Method, NODE, POD, Random, SERVICE, Server, merge, methods, name, node, pod,
    reason, refused, within,
};
use serde_json::{Value, json};
use tonic::{Code, Status};

/// The server must be the process that it was, and serve.
async fn assert_alive(server: &Server, pid: u32) {
    assert_eq!(server.pid(), pid);
    let client = server.client().await;
    let alive = client.create(POD, json!({"metadata": {"generateName": "alive-"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}));
    let alive = alive.await.expect("the server goes on");
    client
        .get(POD, "", name(&alive))
        .await
        .expect("the server goes on");
    let log = server.log();
    assert!(!log.contains("panicked"), "a panic: {log}");
}

/// What a refusal may be: the fault is said to be the caller's.
#[track_caller]
fn assert_typed(what: &str, status: &Status) {
    let typed = matches!(
        status.code(),
        Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::Aborted
            | Code::OutOfRange
            | Code::PermissionDenied
            | Code::ResourceExhausted
    );
    assert!(typed, "{what}: {status:?}");
}

async fn poke(client: &Client, method: &Method, message: Bytes, what: &str) {
    let answer = if method.streams() {
        client.stream(method, message).await.map(|_| ())
    } else {
        client.send(method, message).await.map(|_| ())
    };
    if let Err(status) = answer {
        assert_typed(&format!("{} {what}", method.name()), &status);
    }
}

#[tokio::test]
async fn random_bytes_to_every_method() {
    let server = Server::start().await;
    let (pid, client) = (server.pid(), server.client().await);
    let seed = Random::seed("K8SHOST_TEST_SEED");
    eprintln!("seed {seed}");
    let mut random = Random::new(seed);
    for method in methods() {
        for round in 0..60 {
            let len = [0, 1, 7, 40, 3_000][random.below(5) as usize];
            let message = random.bytes(len).into();
            poke(
                &client,
                &method,
                message,
                &format!("seed {seed} round {round}"),
            )
            .await;
        }
    }
    assert_alive(&server, pid).await;
}

#[tokio::test]
async fn damaged_requests_to_every_method() {
    let server = Server::start().await;
    let (pid, client) = (server.pid(), server.client().await);
    for kind in KINDS {
        client.create(kind, kind.object("target")).await.unwrap();
    }
    let seed = Random::seed("K8SHOST_TEST_SEED");
    eprintln!("seed {seed}");
    let mut random = Random::new(seed);
    let rich = json!({"pod": merge(pod("target"), json!({
        "metadata": {"labels": {"a": "b"}, "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "o", "uid": "u"}]},
        "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}], "livenessProbe": {"httpGet": {"port": 80}}, "resources": {"limits": {"cpu": "1"}}}], "volumes": [{"name": "v", "emptyDir": {}}]},
    }))});
    let rich = Method::named("PodService/CreatePod").encode(rich);
    for method in methods() {
        for round in 0..60 {
            // A pod is as good a start as any for the requests of other kinds: the numbers are the same.
            let mut bytes = rich.to_vec();
            for _ in 0..=random.below(8) {
                let at = random.below(bytes.len() as u64) as usize;
                match random.below(4) {
                    0 => bytes[at] ^= 1 << random.below(8),
                    1 => bytes[at] = random.number() as u8,
                    2 => bytes.truncate(at.max(1)),
                    _ => bytes.insert(at, random.number() as u8),
                }
            }
            poke(
                &client,
                &method,
                bytes.into(),
                &format!("seed {seed} round {round}"),
            )
            .await;
        }
    }
    assert_alive(&server, pid).await;
}

#[tokio::test]
async fn names_that_are_no_names() {
    let server = Server::start().await;
    let (pid, client) = (server.pid(), server.client().await);
    let long = "a".repeat(254);
    let longer = "a".repeat(1 << 20);
    let wrong = [
        long.as_str(),
        &longer,
        "",
        ".",
        "..",
        "a/b",
        "a/../b",
        "@log",
        "@floor",
        "a@b",
        "a b",
        "ä",
        "\u{0}",
        "a\u{0}b",
        "\u{202e}",
        "A",
        "%2e",
        "a\nb",
    ];
    for kind in KINDS {
        for name in wrong {
            let status = client
                .create(kind, kind.object(name))
                .await
                .expect_err(name);
            assert_eq!(status.code(), Code::InvalidArgument, "{name:?}: {status:?}");
            for answer in [
                client.get(kind, "", name).await,
                client.delete(kind, "", name).await,
                client.update(kind, kind.object(name)).await,
                client.get(kind, name, "a").await,
            ] {
                if let Err(status) = answer {
                    assert_typed(&format!("{name:?}"), &status);
                    assert!(
                        status.message().len() < 8_192,
                        "a message of {} bytes",
                        status.message().len()
                    );
                } else {
                    assert!(name.is_empty() || !kind.namespaced, "{name:?} was found");
                }
            }
        }
    }
    for namespace in wrong {
        let list = client.list(POD, json!({"namespace": namespace})).await;
        match list {
            Ok(list) => assert_eq!(list["items"], json!([])),
            Err(status) => assert_typed(namespace, &status),
        }
    }
    assert_alive(&server, pid).await;
}

#[tokio::test]
async fn objects_that_are_too_large() {
    let server = Server::start().await;
    let (pid, client) = (server.pid(), server.client().await);
    let env = |bytes: usize| {
        let env = json!([{"name": "BIG", "value": "x".repeat(bytes)}]);
        merge(
            pod("big"),
            json!({"spec": {"containers": [{"name": "c", "image": "i", "env": env}]}}),
        )
    };
    let status = refused(
        client.create(POD, env(1_678_000)).await,
        Code::ResourceExhausted,
    );
    assert_eq!(reason(&status), "RequestEntityTooLarge");
    client.create(POD, env(1_400_000)).await.unwrap();
    // It does not grow beyond the limit either.
    let made = client.get(POD, "", "big").await.unwrap();
    let grown = merge(
        made,
        json!({"metadata": {"annotations": {"a": "x".repeat(250_000)}}}),
    );
    refused(client.update(POD, grown).await, Code::ResourceExhausted);
    client.delete(POD, "", "big").await.unwrap();
    assert_alive(&server, pid).await;
}

#[tokio::test]
async fn maps_and_lists_that_are_huge() {
    let server = Server::start().await;
    let (pid, client) = (server.pid(), server.client().await);
    let labels = |count: usize| -> Value {
        (0..count)
            .map(|n| (format!("label-{n}"), json!(n.to_string())))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let many = merge(pod("many"), json!({"metadata": {"labels": labels(20_000)}}));
    match client.create(POD, many).await {
        Ok(made) => assert_eq!(
            made["metadata"]["labels"].as_object().unwrap().len(),
            20_000
        ),
        Err(status) => assert_typed("20,000 labels", &status),
    }
    let annotations = merge(
        pod("annotated"),
        json!({"metadata": {"annotations": labels(20_000)}}),
    );
    refused(client.create(POD, annotations).await, Code::InvalidArgument);
    let containers: Vec<Value> = (0..2_000)
        .map(|n| json!({"name": format!("c{n}"), "image": "i"}))
        .collect();
    match client
        .create(
            POD,
            merge(pod("wide"), json!({"spec": {"containers": containers}})),
        )
        .await
    {
        Ok(made) => assert_eq!(made["spec"]["containers"].as_array().unwrap().len(), 2_000),
        Err(status) => assert_typed("2,000 containers", &status),
    }
    let ports: Vec<Value> = (1..60_000)
        .map(|p| json!({"name": format!("p{p}"), "port": p}))
        .collect();
    let service = json!({"metadata": {"name": "wide"}, "spec": {"ports": ports}});
    match within(
        "a service with 60,000 ports",
        client.create(SERVICE, service),
    )
    .await
    {
        Ok(_) => {}
        Err(status) => assert_typed("60,000 ports", &status),
    }
    assert_alive(&server, pid).await;
}

/// A message inside a message inside a message.
fn nested(field: u8, depth: usize, inner: &[u8]) -> Vec<u8> {
    let mut bytes = inner.to_vec();
    for _ in 0..depth {
        let mut outer = vec![field << 3 | 2];
        let mut len = bytes.len();
        while len >= 0x80 {
            outer.push((len & 0x7f) as u8 | 0x80);
            len >>= 7;
        }
        outer.push(len as u8);
        outer.extend_from_slice(&bytes);
        bytes = outer;
    }
    bytes
}

#[tokio::test]
async fn values_that_are_deep() {
    let server = Server::start().await;
    let (pid, client) = (server.pid(), server.client().await);
    // As JSON, where a client can say it: managedFields are a tree without a schema.
    for depth in [1, 5, 20, 30, 33, 40] {
        let mut tree = json!({"f:x": {}});
        for _ in 0..depth {
            tree = json!({"f:d": tree});
        }
        let fields = json!([{"manager": "m", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": tree}]);
        let object = merge(
            pod(&format!("deep-{depth}")),
            json!({"metadata": {"managedFields": fields}}),
        );
        match client.create(POD, object).await {
            Ok(made) => {
                let read = client
                    .get(POD, "", name(&made))
                    .await
                    .expect("what was taken can be read");
                assert_eq!(read, made);
            }
            Err(status) => assert_typed(&format!("depth {depth}"), &status),
        }
    }
    // As bytes: a list in a list, as the targetPort of a service and anywhere else.
    for depth in [10, 100, 1_000, 10_000, 100_000] {
        for field in 1..16 {
            let message: Bytes = nested(field, depth, b"").into();
            for method in [
                "PodService/CreatePod",
                "ServiceService/CreateService",
                "NodeService/Heartbeat",
            ] {
                poke(
                    &client,
                    &Method::named(method),
                    message.clone(),
                    &format!("depth {depth}"),
                )
                .await;
            }
        }
    }
    // google.protobuf.Value { list_value { values … } } in Service.spec.ports[0].targetPort.
    for depth in [3, 30, 48, 60, 200, 5_000] {
        let mut value = vec![];
        for _ in 0..depth {
            value = nested(6, 1, &nested(1, 1, &value));
        }
        let port = [&[0x20, 80][..], &nested(5, 1, &value)].concat();
        let spec = nested(4, 1, &nested(1, 1, &port));
        let metadata = nested(3, 1, &nested(1, 1, b"deep"));
        let service = nested(1, 1, &[metadata, spec].concat());
        let method = Method::named("ServiceService/CreateService");
        let status = client
            .send(&method, service.into())
            .await
            .expect_err("a port is a number or a name");
        assert_eq!(
            status.code(),
            Code::InvalidArgument,
            "depth {depth}: {status:?}"
        );
    }
    assert_alive(&server, pid).await;
}

#[tokio::test]
async fn numbers_at_their_ends() {
    let server = Server::start().await;
    let (pid, client) = (server.pid(), server.client().await);
    client.create(NODE, node("n1")).await.unwrap();
    for number in [i64::MIN, -1, 0, 1, i64::MAX] {
        match client.list(POD, json!({"limit": number})).await {
            Ok(_) => assert!(number >= 0),
            Err(status) => assert_typed("limit", &status),
        }
        let target = merge(pod("target"), json!({"spec": {"nodeName": "n1"}}));
        if let Err(status) = client.create(POD, target).await {
            assert_eq!(status.code(), Code::AlreadyExists, "{status}");
        }
        let grace = json!({"gracePeriodSeconds": number});
        if let Err(status) = client.delete_with(POD, "", "target", grace).await {
            assert_typed("grace period", &status);
        }
        let own = json!({"spec": {"terminationGracePeriodSeconds": number, "activeDeadlineSeconds": number}});
        if let Err(status) = client
            .create(
                POD,
                merge(
                    json!({"metadata": {"generateName": "n-"}}),
                    merge(
                        merge(
                            pod(""),
                            json!({"metadata": {"name": null, "generateName": "n-"}}),
                        ),
                        own,
                    ),
                ),
            )
            .await
        {
            assert_typed("periods", &status);
        }
    }
    for version in [
        "18446744073709551615",
        "18446744073709551616",
        "-1",
        "+1",
        " 1",
        "1e3",
        "0x10",
        "９",
    ] {
        for answer in [
            client
                .list(POD, json!({"resourceVersion": version}))
                .await
                .map(|_| ()),
            client
                .watch(POD, json!({"resourceVersion": version}))
                .await
                .map(|_| ()),
            client
                .update(
                    POD,
                    merge(
                        pod("target"),
                        json!({"metadata": {"resourceVersion": version}}),
                    ),
                )
                .await
                .map(|_| ()),
        ] {
            if let Err(status) = answer {
                assert_typed(version, &status);
            }
        }
    }
    for quantity in [
        "99999999999999999999999999Ei",
        "1e999999999",
        "-1",
        "0.0000000001n",
        &"9".repeat(100_000),
    ] {
        let object = merge(
            pod("q"),
            json!({"spec": {"containers": [{"name": "c", "image": "i", "resources": {"limits": {"cpu": quantity}}}]}}),
        );
        match client.create(POD, object).await {
            Ok(_) => {
                client.delete(POD, "", "q").await.unwrap();
            }
            Err(status) => assert_typed("quantity", &status),
        }
    }
    assert_alive(&server, pid).await;
}

#[tokio::test]
async fn selectors_and_tokens_without_sense() {
    let server = Server::start().await;
    let (pid, client) = (server.pid(), server.client().await);
    client.create(POD, pod("a")).await.unwrap();
    let seed = Random::seed("K8SHOST_TEST_SEED");
    eprintln!("seed {seed}");
    let mut random = Random::new(seed);
    let words = [
        "a",
        "in",
        "notin",
        "(",
        ")",
        ",",
        "=",
        "!=",
        "!",
        ">",
        "<",
        " ",
        "é",
        "\u{0}",
        "x/y",
        "metadata.name",
        "\\",
    ];
    for _ in 0..300 {
        let selector: String = (0..random.below(12))
            .map(|_| *random.pick(&words))
            .collect();
        for field in ["labelSelector", "fieldSelector", "continueToken"] {
            if let Err(status) = client.list(POD, json!({field: selector})).await {
                assert_typed(&selector, &status);
            }
        }
    }
    let long = format!("a in ({})", "b,".repeat(500_000));
    for selector in [
        long,
        "(".repeat(1_000_000),
        "a=b,".repeat(200_000),
        "!".repeat(1_000_000),
    ] {
        if let Err(status) = client.list(POD, json!({"labelSelector": selector})).await {
            assert_typed("a long selector", &status);
        }
    }
    // Strings that are no UTF-8.
    let invalid: Bytes = vec![0x12, 0x02, 0xff, 0xfe].into();
    for method in methods() {
        if method.name().contains("List") || method.name().contains("Get") {
            poke(&client, &method, invalid.clone(), "not UTF-8").await;
        }
    }
    assert_alive(&server, pid).await;
}

#[tokio::test]
async fn what_is_not_http() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let server = Server::start().await;
    let pid = server.pid();
    let mut random = Random::new(7);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut inputs: Vec<Vec<u8>> = vec![
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        [b"GET /".as_slice(), &[b'a'; 200_000], b" HTTP/1.1\r\n\r\n"].concat(),
        [b"GET / HTTP/1.1\r\nx: ".as_slice(), &[b'a'; 2_000_000]].concat(),
    ];
    for _ in 0..40 {
        inputs.push(random.bytes(500));
        inputs.push([preface.as_slice(), &random.bytes(500)].concat());
    }
    for input in inputs {
        let mut stream = tokio::net::TcpStream::connect(server.address())
            .await
            .unwrap();
        // The server may hang up while we still write.
        let _ = stream.write_all(&input).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = within(
            "the end of a bad connection",
            stream.read_to_end(&mut answer),
        )
        .await;
    }
    assert_alive(&server, pid).await;
}
