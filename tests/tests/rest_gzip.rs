//! Large answers over REST are compressed for those who accept it, and are the same.

use std::io::Read as _;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use k8shost_tests::{Answer, Rest, Server, http1, revision};
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn get(server: &Server, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::get(path);
    for (key, value) in headers {
        request = request.header(*key, *value);
    }
    http1(server.address(), request, Bytes::new()).await
}

/// What was compressed.
fn unzip(answer: &Answer) -> Vec<u8> {
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["content-encoding"], "gzip");
    assert_eq!(answer.headers["vary"], "Accept-Encoding");
    let mut whole = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(&answer.body[..]);
    decoder.read_to_end(&mut whole).expect("gzip to its end");
    whole
}

#[tokio::test]
async fn a_large_answer_is_compressed_for_who_accepts_it() {
    let server = Server::start().await;
    let rest = Rest::new(server.address());
    for n in 0..40 {
        let text = format!("{n} words\n").repeat(5_000);
        let map = json!({"metadata": {"name": format!("m{n}")}, "data": {"text": text}});
        rest.expect(201, Method::POST, MAPS, Some(&map)).await;
    }
    let plain = get(&server, MAPS, &[]).await;
    assert!(!plain.headers.contains_key("content-encoding"));
    let gzip = get(&server, MAPS, &[("accept-encoding", "br, gzip")]).await;
    assert_eq!(gzip.headers["content-type"], "application/json");
    assert!(unzip(&gzip) == plain.body, "the lists differ");
    assert!(
        gzip.body.len() < plain.body.len() / 4,
        "{} bytes",
        gzip.body.len()
    );

    let refused = get(&server, MAPS, &[("accept-encoding", "gzip;q=0")]).await;
    assert!(refused.body == plain.body, "the lists differ");
    let small = format!("{MAPS}/m1");
    let small = get(&server, &small, &[("accept-encoding", "gzip")]).await;
    assert!(!small.headers.contains_key("content-encoding"));

    // Events come one by one, and in plain text, however large they are together.
    let path = format!("{MAPS}?watch=1&timeoutSeconds=1");
    let watch = get(&server, &path, &[("accept-encoding", "gzip")]).await;
    assert!(!watch.headers.contains_key("content-encoding"));
    assert_eq!(watch.text().lines().count(), 40);
}

#[tokio::test]
async fn a_compressed_request_is_not_read() {
    let server = Server::start().await;
    let rest = Rest::new(server.address());
    let start = revision(&rest.get(MAPS).await).to_owned();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, br#"{"metadata": {"name": "a"}}"#).expect("memory");
    let body = gzip.finish().expect("memory");
    let headers = [
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
    ];
    let (status, answer) = rest.send(Method::POST, MAPS, &headers, body).await;
    assert_eq!(
        status,
        StatusCode::BAD_REQUEST,
        "as in Kubernetes: {answer}"
    );
    assert_eq!(answer["reason"], "BadRequest");
    let list: Value = rest.get(MAPS).await;
    assert_eq!(revision(&list), start, "nothing was written");
}
