//! HTTP below the REST API: methods, heads, limits, connections, pages of health.

use std::fmt::Write as _;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use k8shost_tests::{Answer, Rest, Server, http1, within};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn get(server: &Server, path: &str) -> Answer {
    http1(server.address(), Request::get(path), Bytes::new()).await
}

async fn open(server: &Server, head: &str) -> TcpStream {
    let stream = TcpStream::connect(server.address()).await;
    let mut stream = stream.expect("the server accepts");
    let sent = stream.write_all(head.as_bytes()).await;
    sent.expect("the server reads");
    stream
}

/// What comes until the server hangs up.
async fn rest_of(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let end = stream.read_to_end(&mut answer);
    let _ = within("the end of the connection", end).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_method_that_is_not_there_is_refused_in_kubernetes_words() {
    let server = Server::start().await;
    let rest = Rest::new(server.address());
    let expected = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "the server does not allow this method on the requested resource",
        "reason": "MethodNotAllowed", "details": {}, "code": 405,
    });
    let fetch = Method::from_bytes(b"FETCH").expect("a method");
    for (method, path) in [
        (fetch.clone(), MAPS),
        (fetch, "/api/v1/namespaces/default/configmaps/a"),
        (Method::OPTIONS, MAPS),
        (Method::PUT, MAPS),
        (Method::POST, "/api"),
        (Method::DELETE, "/apis/apps/v1"),
        (Method::PUT, "/version"),
    ] {
        let (status, answer) = rest.send(method.clone(), path, &[], "").await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert_eq!(answer, expected, "{method} {path}");
    }
    let (status, _) = rest.send(Method::HEAD, MAPS, &[], "").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    let (status, _) = rest.send(Method::HEAD, "/livez", &[], "").await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn an_answer_has_the_id_of_its_request() {
    let server = Server::start().await;
    let id = |answer: &Answer| {
        let id = answer.headers["audit-id"].to_str().expect("text");
        id.to_owned()
    };
    let (first, second) = (get(&server, MAPS).await, get(&server, MAPS).await);
    assert_eq!(first.headers["cache-control"], "no-cache, private");
    assert_ne!(id(&first), id(&second));
    assert_eq!(id(&first).len(), 36, "a UUID");
    let request = Request::get(format!("{MAPS}/nope")).header("audit-id", "mine");
    let own = http1(server.address(), request, Bytes::new()).await;
    assert_eq!(
        (own.status, id(&own)),
        (StatusCode::NOT_FOUND, "mine".into())
    );
    assert_eq!(id(&get(&server, "/livez").await).len(), 36);
}

#[tokio::test]
async fn pages_of_health_name_their_checks() {
    let server = Server::start().await;
    server.client().await.make_tenant("acme", "web").await;
    let lives = "[+]ping ok\nlivez check passed\n";
    let ready = "[+]ping ok\n[+]shutdown ok\n[+]store ok\nreadyz check passed\n";
    for root in ["", "/orgs/acme/projects/web"] {
        for (path, expected) in [
            ("/livez", "ok"),
            ("/livez?verbose", lives),
            ("/readyz?verbose=true", ready),
        ] {
            let answer = get(&server, &format!("{root}{path}")).await;
            let found = (answer.status, answer.text());
            assert_eq!(found, (StatusCode::OK, expected.into()), "{root}{path}");
        }
    }
    let nobody = get(&server, "/orgs/acme/projects/nope/readyz").await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_request_that_is_too_large_need_not_be_sent() {
    let server = Server::start().await;
    let post = |size: usize, more: &str| {
        format!(
            "POST {MAPS} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
             connection: close\r\ncontent-length: {size}\r\n{more}\r\n"
        )
    };
    let expect = "expect: 100-continue\r\n";
    let too_large = "Request entity too large: limit is 3145728";
    let answer = rest_of(open(&server, &post((3 << 20) + 1, expect)).await).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains(too_large), "{answer}");
    // One that says nothing beforehand is read up to the limit, and is told that the connection ends.
    let head = format!(
        "POST {MAPS} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n"
    );
    let mut stream = open(&server, &head).await;
    let chunk = format!("100000\r\n{}\r\n", "x".repeat(1 << 20));
    for _ in 0..3 {
        let sent = stream.write_all(chunk.as_bytes()).await;
        sent.expect("the server reads up to its limit");
    }
    stream.write_all(b"1\r\n").await.expect("the server reads");
    stream.write_all(b"x\r\n").await.expect("the server reads");
    let answer = rest_of(stream).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    assert!(answer.contains(too_large), "{answer}");
    // Its end is read too, so that a client that only then looks for an answer finds one.
    let size = 20 << 20;
    let head = format!("POST {MAPS} HTTP/1.1\r\nhost: a\r\ncontent-length: {size}\r\n\r\n");
    let mut stream = open(&server, &head).await;
    let sent = stream.write_all(&vec![b'x'; size]).await;
    sent.expect("the server reads all of it");
    let answer = rest_of(stream).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    // What is not read at all says so as well.
    let head = "POST /livez HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n";
    let answer = rest_of(open(&server, head).await).await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");

    let body = r#"{"metadata": {"name": "a"}}"#;
    let mut stream = open(&server, &post(body.len(), expect)).await;
    let mut go = [0; 25];
    let read = within("a word to go on", stream.read_exact(&mut go)).await;
    read.expect("an answer");
    assert_eq!(&go, b"HTTP/1.1 100 Continue\r\n\r\n");
    let sent = stream.write_all(body.as_bytes()).await;
    sent.expect("the server reads");
    let answer = rest_of(stream).await;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
}

#[tokio::test]
async fn a_connection_lasts_until_somebody_closes_it() {
    let server = Server::start().await;
    let ask = |more: &str| format!("GET /livez HTTP/1.1\r\nhost: a\r\n{more}\r\n");
    let requests = [ask(""), ask(""), ask("connection: close\r\n"), ask("")].concat();
    let answers = rest_of(open(&server, &requests).await).await;
    let count = answers.matches("HTTP/1.1 200 OK").count();
    assert_eq!(
        count, 3,
        "the one after the close is not answered: {answers}"
    );
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let server = Server::start().await;
    let large = format!("x: {}\r\n", "a".repeat(1 << 20));
    let mut many = String::new();
    for n in 0..1000 {
        let written = write!(many, "x-{n}: a\r\n");
        written.expect("memory");
    }
    for headers in [large, many] {
        let head = format!("GET {MAPS} HTTP/1.1\r\nhost: a\r\n{headers}\r\n");
        let mut stream = TcpStream::connect(server.address())
            .await
            .expect("it accepts");
        // The server may hang up while we still write.
        let _ = stream.write_all(head.as_bytes()).await;
        let mut start = [0; 12];
        if within("an answer", stream.read_exact(&mut start))
            .await
            .is_ok()
        {
            assert_eq!(&start, b"HTTP/1.1 431");
        }
    }
    // A selector of many kilobytes is none.
    let path = format!(
        "{MAPS}?labelSelector=a+notin+({})",
        "word,".repeat(8_000) + "end"
    );
    assert_eq!(get(&server, &path).await.status, StatusCode::OK);
}

#[tokio::test]
async fn media_types_that_are_not_there_are_refused_in_kubernetes_words() {
    let server = Server::start().await;
    let rest = Rest::new(server.address());
    let three = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
    let unread = format!(
        "the body of the request was in an unknown format - accepted media types include: {three}"
    );
    let none = format!("406: Not Acceptable\n\nAvailable representations: {three}");
    let none_of_a_list = format!(
        "{none}, application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"
    );
    let known = format!("only the following media types are accepted: {three}");
    let one = format!("{MAPS}/a");
    let nonsense = "application/json;as=Nonsense;v=v1;g=meta.k8s.io";
    for (method, path, header, status, reason, message, details) in [
        (
            Method::GET,
            MAPS,
            ("accept", "text/html"),
            406,
            "NotAcceptable",
            &*none_of_a_list,
            true,
        ),
        (
            Method::GET,
            &*one,
            ("accept", "text/html"),
            406,
            "NotAcceptable",
            &*none,
            true,
        ),
        (
            Method::GET,
            MAPS,
            ("accept", nonsense),
            406,
            "NotAcceptable",
            &*known,
            false,
        ),
        (
            Method::POST,
            MAPS,
            ("content-type", "text/plain"),
            415,
            "UnsupportedMediaType",
            &*unread,
            false,
        ),
        (
            Method::PUT,
            &*one,
            ("content-type", "text/plain"),
            415,
            "UnsupportedMediaType",
            &*unread,
            false,
        ),
        (
            Method::PATCH,
            &*one,
            ("content-type", "application/json"),
            415,
            "UnsupportedMediaType",
            "415: Unsupported Media Type",
            true,
        ),
    ] {
        let (found, answer) = rest.send(method.clone(), path, &[header], "{}").await;
        assert_eq!(found.as_u16(), status, "{method} {path} {header:?}");
        let mut expected = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": status,
        });
        if details {
            expected["details"] = json!({});
        }
        assert_eq!(answer, expected, "{method} {path} {header:?}");
    }
}
