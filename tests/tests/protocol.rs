//! What surrounds the API: reflection, health, error details, deadlines, compression, gRPC-Web,
//! metrics.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{Request, StatusCode};
use k8shost_tests::{
    Answer, Client, Method, POD, Server, frame, http1, http2, merge, methods, pod, reason, refused,
    within,
};
use serde_json::json;
use tonic::{Code, Streaming, transport::Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_types::StatusExt as _;

const SERVICES: [&str; 6] = [
    "k8shost.v1.PodService",
    "k8shost.v1.ServiceService",
    "k8shost.v1.NodeService",
    "k8shost.v1.NamespaceService",
    "k8shost.v1.OrganizationService",
    "k8shost.v1.ProjectService",
];

async fn channel(server: &Server) -> tonic::transport::Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address())).expect("a URI");
    endpoint.connect().await.expect("the server accepts")
}

async fn page(server: &Server, path: &str) -> Answer {
    http1(server.address(), Request::get(path), Bytes::new()).await
}

async fn first<T>(mut stream: Streaming<T>) -> T {
    let message = within("an answer of reflection", stream.message()).await;
    message.expect("an answer").expect("not the end")
}

/// Asks reflection in one of its versions for the services and for a symbol's files.
macro_rules! reflection {
    ($server:expr, $version:ident) => {{
        use tonic_reflection::pb::$version::{
            ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
            server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
        };
        let mut client = ServerReflectionClient::new(channel($server).await);
        let ask = |message| ServerReflectionRequest {
            host: String::new(),
            message_request: Some(message),
        };
        let request = futures::stream::iter([ask(MessageRequest::ListServices(String::new()))]);
        let answer = client
            .server_reflection_info(request)
            .await
            .unwrap()
            .into_inner();
        let services: BTreeSet<String> = match first(answer).await.message_response.unwrap() {
            MessageResponse::ListServicesResponse(list) => {
                list.service.into_iter().map(|s| s.name).collect()
            }
            other => panic!("{other:?}"),
        };
        let symbol = MessageRequest::FileContainingSymbol("k8shost.v1.PodService.WatchPods".into());
        let request = futures::stream::iter([ask(symbol)]);
        let answer = client
            .server_reflection_info(request)
            .await
            .unwrap()
            .into_inner();
        let files = match first(answer).await.message_response.unwrap() {
            MessageResponse::FileDescriptorResponse(files) => files.file_descriptor_proto,
            other => panic!("{other:?}"),
        };
        (services, files)
    }};
}

#[tokio::test]
async fn reflection_lists_and_describes_every_service() {
    let server = Server::start().await;
    let (v1, files) = reflection!(&server, v1);
    let (v1alpha, same) = reflection!(&server, v1alpha);
    for services in [v1, v1alpha] {
        for service in SERVICES {
            assert!(
                services.contains(service),
                "{service} is not in {services:?}"
            );
        }
        assert!(services.contains("grpc.health.v1.Health"), "{services:?}");
    }
    assert!(!files.is_empty());
    assert_eq!(files, same);
}

#[tokio::test]
async fn health_is_told_per_service() {
    let server = Server::start().await;
    let mut client = HealthClient::new(channel(&server).await);
    for service in SERVICES.into_iter().chain([""]) {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let answer = client.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
    let unknown = HealthCheckRequest {
        service: "nobody".to_owned(),
    };
    assert_eq!(
        client.check(unknown).await.unwrap_err().code(),
        Code::NotFound
    );

    let request = HealthCheckRequest {
        service: SERVICES[0].to_owned(),
    };
    let mut watch = client.watch(request).await.unwrap().into_inner();
    let now = within("the state of health", watch.message())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(now.status(), ServingStatus::Serving);
    server.terminate();
    let next = within("the change of health", watch.message()).await;
    if let Ok(Some(next)) = next {
        assert_eq!(next.status(), ServingStatus::NotServing);
    }
}

#[tokio::test]
async fn errors_have_details() {
    let server = Server::start().await;
    let client = server.client().await;
    let bad = merge(pod("BAD"), json!({"spec": {"containers": []}}));
    let status = refused(client.create(POD, bad).await, Code::InvalidArgument);
    let details = status.get_error_details();
    let info = details.error_info().expect("ErrorInfo");
    assert_eq!(
        (info.reason.as_str(), info.domain.as_str()),
        ("Invalid", "k8shost.io")
    );
    let fields: Vec<(&str, &str)> = details
        .bad_request()
        .expect("BadRequest")
        .field_violations
        .iter()
        .map(|v| (v.field.as_str(), v.description.as_str()))
        .collect();
    let found = |field: &str, words: &str| {
        fields
            .iter()
            .any(|(f, d)| *f == field && d.starts_with(words))
    };
    assert!(
        found("metadata.name", "Invalid value: \"BAD\""),
        "{fields:?}"
    );
    assert!(found("spec.containers", "Required value"), "{fields:?}");
    let resource = details.resource_info().expect("ResourceInfo");
    assert_eq!(resource.resource_name, "BAD");
}

#[tokio::test]
async fn an_error_with_many_faults_still_arrives() {
    let server = Server::start().await;
    let client = server.client().await;
    let containers: Vec<_> = (0..500)
        .map(|n| json!({"name": format!("BAD-{n}-{}", "x".repeat(200))}))
        .collect();
    let bad = merge(pod("a"), json!({"spec": {"containers": containers}}));
    let status = refused(client.create(POD, bad).await, Code::InvalidArgument);
    assert_eq!(reason(&status), "Invalid");
}

#[tokio::test]
async fn unknown_methods_and_services_are_unimplemented() {
    let server = Server::start().await;
    for path in [
        "/k8shost.v1.PodService/Nope",
        "/k8shost.v1.Nope/Get",
        "/Nope",
        "/grpc.health.v1.Nope/Check",
    ] {
        let headers = [("content-type", "application/grpc"), ("te", "trailers")];
        let answer = http2(server.address(), path, &headers, frame(b"")).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.grpc_status(), Code::Unimplemented as i32, "{path}");
    }
}

/// A unary call without a gRPC library.
async fn plain(server: &Server, method: &str, headers: &[(&str, &str)], body: Bytes) -> Answer {
    let mut all = vec![("content-type", "application/grpc"), ("te", "trailers")];
    all.extend_from_slice(headers);
    http2(server.address(), &Method::named(method).path(), &all, body).await
}

#[tokio::test]
async fn deadlines_are_honoured() {
    let server = Server::start().await;
    let create = Method::named("PodService/CreatePod").encode(json!({"pod": pod("a")}));
    let late = plain(
        &server,
        "PodService/CreatePod",
        &[("grpc-timeout", "1n")],
        frame(&create),
    )
    .await;
    assert_eq!(late.grpc_status(), Code::DeadlineExceeded as i32);
    let early = plain(
        &server,
        "PodService/ListPods",
        &[("grpc-timeout", "1H")],
        frame(b""),
    )
    .await;
    assert_eq!(early.grpc_status(), Code::Ok as i32);
    // A watch with a deadline ends with it, and not before.
    let begun = std::time::Instant::now();
    let watch = plain(
        &server,
        "PodService/WatchPods",
        &[("grpc-timeout", "300m")],
        frame(b""),
    )
    .await;
    assert_eq!(watch.grpc_status(), Code::DeadlineExceeded as i32);
    assert!(
        begun.elapsed() >= std::time::Duration::from_millis(290),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_watch_along() {
    let server = Server::start().await;
    let client = server.client().await;
    let watch = client.watch(POD, json!({})).await.unwrap();
    let open = || async { page(&server, "/metrics").await.text() };
    assert!(
        open().await.contains("k8shost_watches 1"),
        "{}",
        open().await
    );
    drop(watch);
    k8shost_tests::until("the end of the watch", || async {
        open().await.contains("k8shost_watches 0").then_some(())
    })
    .await;
}

#[tokio::test]
async fn gzip_is_taken_and_given() {
    let server = Server::start().await;
    let client = server.client().await;
    let over = json!({"metadata": {"annotations": {"long": "x".repeat(100_000)}}});
    let made = client
        .gzip()
        .create(POD, merge(pod("a"), over))
        .await
        .unwrap();
    let get = Method::named("PodService/GetPod");
    let request = get.encode(json!({"name": "a"}));
    let (zipped, head) = client.gzip().send(&get, request.clone()).await.unwrap();
    assert_eq!(
        head.get("grpc-encoding").map(|v| v.as_bytes()),
        Some(&b"gzip"[..])
    );
    let (whole, head) = client.send(&get, request.clone()).await.unwrap();
    assert!(head.get("grpc-encoding").is_none(), "nobody asked for gzip");
    assert_eq!(zipped, whole);
    assert_eq!(get.decode(&whole)["pod"], made);
    // On the wire it is smaller.
    let answer = plain(
        &server,
        "PodService/GetPod",
        &[("grpc-accept-encoding", "gzip")],
        frame(&request),
    )
    .await;
    assert_eq!(answer.body[0], 1, "the frame says that it is compressed");
    assert!(answer.body.len() < 10_000, "{} bytes", answer.body.len());
    // What it cannot read, it says.
    let strange = plain(
        &server,
        "PodService/GetPod",
        &[("grpc-encoding", "snappy")],
        frame(&request),
    )
    .await;
    assert_eq!(strange.grpc_status(), Code::Unimplemented as i32);

    let mut watch = client.gzip().watch(POD, json!({})).await.unwrap();
    assert_eq!(watch.expect("ADDED", "a").await, made);
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_clearly() {
    let server = Server::start().await;
    let client = server.client().await;
    let huge = merge(
        pod("a"),
        json!({"metadata": {"annotations": {"long": "x".repeat(5 << 20)}}}),
    );
    let status = refused(client.create(POD, huge).await, Code::ResourceExhausted);
    assert!(
        status.message().contains("4194304") || status.message().contains("4 MiB"),
        "{}",
        status.message()
    );
    // The connection is still good.
    client.create(POD, pod("a")).await.unwrap();
}

/// The messages and the trailers of a gRPC-Web answer.
fn web_parts(body: &[u8]) -> (Vec<Vec<u8>>, String) {
    let (mut messages, mut trailers, mut rest) = (Vec::new(), String::new(), body);
    while rest.len() >= 5 {
        let len = u32::from_be_bytes([rest[1], rest[2], rest[3], rest[4]]) as usize;
        let part = &rest[5..5 + len];
        if rest[0] & 0x80 == 0 {
            messages.push(part.to_vec());
        } else {
            trailers.push_str(&String::from_utf8_lossy(part));
        }
        rest = &rest[5 + len..];
    }
    (messages, trailers)
}

#[tokio::test]
async fn grpc_web_works_over_http_1() {
    let server = Server::start().await;
    let client = server.client().await;
    let made = client.create(POD, pod("a")).await.unwrap();
    let get = Method::named("PodService/GetPod");
    let web = |kind: &str| {
        Request::post(get.path())
            .header("content-type", kind)
            .header("x-grpc-web", "1")
    };
    let request = frame(&get.encode(json!({"name": "a"})));
    let answer = http1(server.address(), web("application/grpc-web+proto"), request).await;
    assert_eq!(answer.status, StatusCode::OK);
    let (messages, trailers) = web_parts(&answer.body);
    assert_eq!(get.decode(&messages[0])["pod"], made);
    assert!(
        trailers.contains("grpc-status:0") || trailers.contains("grpc-status: 0"),
        "{trailers}"
    );

    let request = frame(&get.encode(json!({"name": "nobody"})));
    let answer = http1(server.address(), web("application/grpc-web+proto"), request).await;
    let in_head = answer
        .headers
        .get("grpc-status")
        .and_then(|v| v.to_str().ok())
        .map(str::to_owned);
    let (_, trailers) = web_parts(&answer.body);
    assert!(
        in_head.as_deref() == Some("5") || trailers.replace(": ", ":").contains("grpc-status:5"),
        "{answer:?}"
    );

    // Tenants are told by the same headers.
    client.make_tenant("acme", "web").await;
    let request = frame(&get.encode(json!({"name": "a"})));
    let other = web("application/grpc-web+proto")
        .header("x-k8shost-org", "acme")
        .header("x-k8shost-project", "web");
    let answer = http1(server.address(), other, request).await;
    assert!(web_parts(&answer.body).0.is_empty(), "another tenant's pod");
}

#[tokio::test]
async fn the_pages_answer() {
    let server = Server::start().await;
    for path in ["/healthz", "/livez", "/readyz"] {
        let answer = page(&server, path).await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (StatusCode::OK, "ok"),
            "{path}"
        );
    }
    let nothing = page(&server, "/nothing").await;
    assert_eq!(nothing.status, StatusCode::NOT_FOUND);
    assert_eq!(
        nothing.text(),
        "404 page not found\n",
        "as Kubernetes says it"
    );
    let post = http1(server.address(), Request::post("/healthz"), Bytes::new()).await;
    assert_eq!(post.status, StatusCode::METHOD_NOT_ALLOWED);
}

/// One call of every method, each with a request that means nothing.
async fn touch(client: &Client) {
    for method in methods() {
        if method.streams() {
            let watch = client.stream(&method, Bytes::new()).await;
            drop(watch);
        } else {
            let _ = client.send(&method, Bytes::new()).await;
        }
    }
}

#[tokio::test]
async fn metrics_do_not_grow_with_tenants() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create(POD, pod("a")).await.unwrap();
    refused(client.create(POD, pod("a")).await, Code::AlreadyExists);
    let answer = page(&server, "/metrics").await;
    assert_eq!(answer.status, StatusCode::OK);
    let content_type = answer
        .headers
        .get("content-type")
        .and_then(|v| v.to_str().ok())
        .unwrap();
    assert!(
        content_type.starts_with("application/openmetrics-text"),
        "{content_type}"
    );
    let text = answer.text();
    for expected in [
        "k8shost_requests_total{method=\"/k8shost.v1.PodService/CreatePod\",code=\"OK\"} 1",
        "k8shost_requests_total{method=\"/k8shost.v1.PodService/CreatePod\",code=\"AlreadyExists\"} 1",
        "k8shost_request_duration_seconds_count{method=\"/k8shost.v1.PodService/CreatePod\"} 2",
        "k8shost_requests_in_flight ",
        "k8shost_watches ",
        "# EOF",
    ] {
        assert!(text.contains(expected), "{expected} is not in\n{text}");
    }
    let words = |word: &str| {
        text.lines()
            .filter(|l| l.starts_with("k8shost_") && l.contains(word))
            .count()
    };
    for word in ["commit", "batch", "sync", "tenants"] {
        assert!(words(word) > 0, "no metric of {word} in\n{text}");
    }

    touch(&client.make_tenant("acme", "first").await).await;
    let lines = |text: &str| text.lines().count();
    let before = lines(&page(&server, "/metrics").await.text());
    for n in 0..20 {
        touch(&client.make_tenant("acme", &format!("p{n}")).await).await;
    }
    for n in 0..20 {
        http2(
            server.address(),
            &format!("/made.up/Method{n}"),
            &[("content-type", "application/grpc")],
            frame(b""),
        )
        .await;
    }
    let after = page(&server, "/metrics").await.text();
    assert!(
        lines(&after) <= before + 2,
        "{before} lines became {}:\n{after}",
        lines(&after)
    );
    assert!(!after.contains("acme"), "no tenant is a label");
}
