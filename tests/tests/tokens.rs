//! Tokens of service accounts: who gets one, for how long it is good, and where.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{Method, Request};
use k8shost_kv_cluster::{Cluster, Config};
use k8shost_tests::{NODE, POD, Rest, Server, http1, merge, names, pod, run, text};
use serde_json::{Value, json};

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
const DEFAULT: &str = "/api/v1/namespaces/default/serviceaccounts/default/token";
const PODS: &str = "/api/v1/namespaces/default/pods";
const REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const UNKNOWN_KEY: &str = "[invalid bearer token, invalid signature, no keys found]";
const GONE: &str = "[invalid bearer token, service account token has been invalidated]";
const UNSIGNED: &str = "[invalid bearer token, go-jose/go-jose: error in cryptographic primitive]";

async fn token(rest: &Rest, spec: Value) -> String {
    let answer = rest.post(201, DEFAULT, json!({"spec": spec})).await;
    text(&answer, "/status/token").to_owned()
}

/// The status of a review.
async fn review(rest: &Rest, token: &str, audiences: Value) -> Value {
    let spec = json!({"token": token, "audiences": audiences});
    let answer = rest.post(201, REVIEWS, json!({"spec": spec})).await;
    assert_eq!(answer["kind"], "TokenReview");
    answer["status"].clone()
}

async fn is_good(rest: &Rest, token: &str) -> Value {
    let status = review(rest, token, json!(null)).await;
    assert_eq!(status["authenticated"], true, "{status}");
    status
}

async fn is_refused(rest: &Rest, token: &str, words: &str) {
    let status = review(rest, token, json!(null)).await;
    assert_eq!(status, json!({"user": {}, "error": words}));
}

/// A part of a token: 0 is the header, 1 the claims.
fn part(token: &str, at: usize) -> Value {
    let part = token.split('.').nth(at).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

async fn one() -> (Server, Rest) {
    let server = Server::start().await;
    let rest = Rest::of_server(&server).await;
    (server, rest)
}

#[tokio::test]
async fn an_account_gets_a_token_that_a_review_knows() {
    let (_server, rest) = one().await;
    let account = rest.get(&format!("{ACCOUNTS}/default")).await;
    let uid = text(&account, "/metadata/uid");
    let request = json!({"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1"});
    let answer = rest
        .post(201, &format!("{DEFAULT}?fieldManager=me"), request.clone())
        .await;
    let (token, claims) = (
        text(&answer, "/status/token"),
        &part(text(&answer, "/status/token"), 1),
    );
    let times = [
        &answer["metadata"]["creationTimestamp"],
        &answer["status"]["expirationTimestamp"],
    ];
    assert_eq!(
        answer,
        json!({
            "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
            "metadata": {
                "name": "default", "namespace": "default", "uid": uid, "creationTimestamp": times[0],
                "managedFields": [{
                    "manager": "me", "operation": "Update", "apiVersion": "authentication.k8s.io/v1",
                    "time": answer["metadata"]["managedFields"][0]["time"],
                    "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:expirationSeconds": {}}},
                    "subresource": "token",
                }],
            },
            "spec": {"audiences": [ISSUER], "expirationSeconds": 3600, "boundObjectRef": null},
            "status": {"token": token, "expirationTimestamp": times[1]},
        })
    );
    assert!(times.iter().all(|time| time.is_string()));
    let issued = claims["iat"].as_i64().unwrap();
    let id = text(claims, "/jti");
    assert_eq!(
        *claims,
        json!({
            "iss": ISSUER, "aud": [ISSUER], "sub": "system:serviceaccount:default:default", "jti": id,
            "iat": issued, "nbf": issued, "exp": issued + 3600,
            "kubernetes.io": {"namespace": "default", "serviceaccount": {"name": "default", "uid": uid}},
        })
    );
    let header = part(token, 0);
    assert_eq!(
        header,
        json!({"alg": "ES256", "kid": text(&header, "/kid")})
    );
    let groups = [
        "system:serviceaccounts",
        "system:serviceaccounts:default",
        "system:authenticated",
    ];
    assert_eq!(
        is_good(&rest, token).await,
        json!({
            "authenticated": true,
            "user": {
                "username": "system:serviceaccount:default:default", "uid": uid, "groups": groups,
                "extra": {"authentication.kubernetes.io/credential-id": [format!("JTI={id}")]},
            },
            "audiences": [ISSUER],
        })
    );
    // Each is another one, signed with the same key; a dry run gives one too.
    let another = rest
        .post(201, &format!("{DEFAULT}?dryRun=All"), request)
        .await;
    let another = text(&another, "/status/token");
    assert_ne!(part(another, 1)["jti"], claims["jti"]);
    assert_eq!(part(another, 0), header);
    is_good(&rest, another).await;
}

#[tokio::test]
async fn bodies_and_answers_are_in_the_forms_of_kubernetes() {
    let (server, rest) = one().await;
    let send = async |content: &str, accept: &str, body: &[u8]| {
        let request = Request::post(DEFAULT)
            .header("content-type", content)
            .header("accept", accept);
        http1(server.address(), request, body.to_vec().into()).await
    };
    let yaml =
        b"kind: TokenRequest\napiVersion: authentication.k8s.io/v1\nspec: {audiences: [a]}\n";
    let answer = send("application/yaml", PROTOBUF, yaml).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["content-type"]),
        (201, &PROTOBUF.parse().unwrap())
    );
    assert!(answer.body.starts_with(b"k8s\0"));
    // What it answers it reads.
    let answer = send(PROTOBUF, "application/json", &answer.body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let answer: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer["spec"]["audiences"], json!(["a"]));
    assert_eq!(answer["metadata"]["name"], "default");
    let token = text(&answer, "/status/token");
    assert_eq!(
        review(&rest, token, json!(["a"])).await["audiences"],
        json!(["a"])
    );
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    assert_eq!(send("application/json", table, b"{}").await.status, 406);
    let answer = send(
        "application/json",
        &format!("{table},application/json"),
        b"{}",
    )
    .await;
    assert_eq!(answer.status, 201);
    assert!(answer.text().contains("TokenRequest"));
    let partial = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
    let answer = send("application/json", partial, b"{}").await;
    assert_eq!(answer.status, 201);
    assert!(
        answer.text().contains("PartialObjectMetadata") && !answer.text().contains("\"token\":")
    );
    assert_eq!(
        send("text/plain", "application/json", b"{}").await.status,
        415
    );
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        rest.expect(405, method, DEFAULT, Some(&json!({}))).await;
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_as_kubernetes_says_it() {
    let (_server, rest) = one().await;
    let short = json!({"spec": {"expirationSeconds": 5}});
    let none = format!("{ACCOUNTS}/none/token");
    let refused = rest.post(404, &none, short.clone()).await;
    assert_eq!(
        text(&refused, "/message"),
        "serviceaccounts \"none\" not found"
    );
    let refused = rest.post(422, DEFAULT, short).await;
    assert_eq!(
        text(&refused, "/details/causes/0/field"),
        "spec.expirationSeconds"
    );
    for (status, path, body) in [
        (422, DEFAULT.to_owned(), json!({"metadata": {"name": "x"}})),
        (
            400,
            DEFAULT.to_owned(),
            json!({"metadata": {"namespace": "x"}}),
        ),
        (409, DEFAULT.to_owned(), json!({"metadata": {"uid": "x"}})),
        (
            400,
            DEFAULT.to_owned(),
            json!({"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1"}),
        ),
        (400, DEFAULT.to_owned(), json!({"spec": {"audiences": [1]}})),
        (
            400,
            DEFAULT.to_owned(),
            json!({"spec": {"expirationSeconds": 1e300}}),
        ),
        (
            400,
            format!("{DEFAULT}?fieldValidation=Strict"),
            json!({"spec": {"nope": 1}}),
        ),
        (422, format!("{DEFAULT}?dryRun=Some"), json!({})),
        (404, format!("{DEFAULT}/more"), json!({})),
        (404, format!("{PODS}/none/token"), json!({})),
        (
            404,
            "/api/v1/namespaces/none/serviceaccounts/default/token".to_owned(),
            json!({}),
        ),
    ] {
        rest.post(status, &path, body).await;
    }
    // Nothing of this has made a key.
    let foreign = format!(
        "{}.{}.AA",
        encode(&json!({"alg": "ES256"})),
        encode(&json!({"iss": ISSUER}))
    );
    is_refused(&rest, &foreign, UNKNOWN_KEY).await;
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

#[tokio::test]
async fn a_token_goes_with_what_it_is_bound_to() {
    let (server, rest) = one().await;
    let bound = json!({"spec": {"serviceAccountName": "default", "nodeName": "n1"}});
    let delete = async |path: &str| {
        rest.expect(
            200,
            Method::DELETE,
            path,
            Some(&json!({"gracePeriodSeconds": 0})),
        )
        .await;
    };
    let made = rest.post(201, PODS, merge(pod("p"), bound.clone())).await;
    let uid = text(&made, "/metadata/uid");
    let reference = json!({"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": uid});
    let of_pod = token(&rest, json!({"boundObjectRef": reference.clone()})).await;
    let extra = is_good(&rest, &of_pod).await["user"]["extra"].clone();
    assert_eq!(extra["authentication.kubernetes.io/pod-name"], json!(["p"]));
    assert_eq!(extra["authentication.kubernetes.io/pod-uid"], json!([uid]));
    assert_eq!(
        extra["authentication.kubernetes.io/node-name"],
        json!(["n1"])
    );
    delete(&format!("{PODS}/p")).await;
    is_refused(&rest, &of_pod, GONE).await;
    // Another one of the same name is another one.
    rest.post(201, PODS, merge(pod("p"), bound)).await;
    let words = text(&review(&rest, &of_pod, json!(null)).await, "/error").to_owned();
    assert!(
        words.ends_with(&format!(
            "does not match service account pod ref claim ({uid})]"
        )),
        "{words}"
    );
    let request = json!({"spec": {"boundObjectRef": reference}});
    let refused = rest.post(409, DEFAULT, request).await;
    assert_eq!(refused["details"]["kind"], "Pod");

    let secrets = "/api/v1/namespaces/default/secrets";
    rest.post(201, secrets, json!({"metadata": {"name": "s"}}))
        .await;
    let of_secret = token(
        &rest,
        json!({"boundObjectRef": {"kind": "Secret", "name": "s"}}),
    )
    .await;
    is_good(&rest, &of_secret).await;
    delete(&format!("{secrets}/s")).await;
    is_refused(&rest, &of_secret, GONE).await;

    rest.post(201, "/api/v1/nodes", json!({"metadata": {"name": "n1"}}))
        .await;
    let of_node = token(
        &rest,
        json!({"boundObjectRef": {"kind": "Node", "name": "n1"}}),
    )
    .await;
    is_good(&rest, &of_node).await;
    delete("/api/v1/nodes/n1").await;
    is_refused(&rest, &of_node, GONE).await;

    let of_account = token(&rest, json!({})).await;
    is_good(&rest, &of_account).await;
    delete(&format!("{ACCOUNTS}/default")).await;
    is_refused(
        &rest,
        &of_account,
        "[invalid bearer token, serviceaccounts \"default\" not found]",
    )
    .await;
    // gRPC tells of pods and nodes, and of no key.
    let client = server.client().await;
    assert_eq!(names(&client.list(POD, json!({})).await.unwrap()), ["p"]);
    assert!(names(&client.list(NODE, json!({})).await.unwrap()).is_empty());
}

#[tokio::test]
async fn a_token_is_good_in_its_project_only_and_goes_with_it() {
    let (server, rest) = one().await;
    let client = server.client().await;
    client.make_tenant("acme", "web").await;
    client.make_tenant("acme", "shop").await;
    let (web, shop) = (rest.of("acme", "web"), rest.of("acme", "shop"));
    let of_web = token(&web, json!({})).await;
    is_good(&web, &of_web).await;
    is_refused(&shop, &of_web, UNKNOWN_KEY).await;
    let of_shop = token(&shop, json!({})).await;
    for other in [&rest, &shop] {
        is_refused(other, &of_web, UNKNOWN_KEY).await;
    }
    is_refused(&web, &of_shop, UNKNOWN_KEY).await;
    assert_ne!(part(&of_web, 0)["kid"], part(&of_shop, 0)["kid"]);
    // Who says that it is signed with the other's key is believed even less.
    let mut lie = of_web.split('.').map(str::to_owned).collect::<Vec<_>>();
    lie[0] = of_shop.split('.').next().unwrap().to_owned();
    is_refused(&shop, &lie.join("."), UNSIGNED).await;

    let project = json!({"org": "acme", "name": "web"});
    client
        .call("ProjectService/DeleteProject", project)
        .await
        .unwrap();
    client.make_tenant("acme", "web").await;
    // The account is the same one, for it is in every new project; the key is not.
    is_refused(&web, &of_web, UNKNOWN_KEY).await;
    let new = token(&web, json!({})).await;
    assert_ne!(part(&new, 0)["kid"], part(&of_web, 0)["kid"]);
    is_refused(&web, &of_web, UNKNOWN_KEY).await;
}

#[tokio::test]
async fn what_is_forged_is_refused() {
    let (_server, rest) = one().await;
    let good = token(&rest, json!({})).await;
    let [head, claims, signature] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!("a token has three parts");
    };
    let mut changed = part(&good, 1);
    changed["sub"] = json!("system:serviceaccount:kube-system:default");
    changed["kubernetes.io"]["namespace"] = json!("kube-system");
    let changed = encode(&changed);
    is_refused(&rest, &format!("{head}.{changed}.{signature}"), UNSIGNED).await;
    is_refused(&rest, &format!("{head}.{claims}."), UNSIGNED).await;
    let elsewhere = encode(&json!({"alg": "ES256", "kid": "x"}));
    is_refused(
        &rest,
        &format!("{elsewhere}.{claims}.{signature}"),
        UNKNOWN_KEY,
    )
    .await;
    let hs256 = encode(&json!({"alg": "HS256"}));
    is_refused(&rest, &format!("{hs256}.{claims}.{signature}"), UNSIGNED).await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let foreign = encode(&json!({"iss": "kubernetes/serviceaccount"}));
    for token in [
        format!("{}.{claims}.", encode(&json!({"alg": "none"}))),
        format!("{}.{changed}.", encode(&json!({"alg": "none"}))),
        format!("{head}.{foreign}.{signature}"),
        format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode(&deep)),
        format!("{}.{claims}.{signature}", URL_SAFE_NO_PAD.encode(&deep)),
        format!("{good}.{signature}"),
        "..".to_owned(),
        "\u{0}".to_owned(),
        " ".to_owned(),
        format!(" {good}"),
        "x".repeat(1 << 20),
    ] {
        is_refused(&rest, &token, "invalid bearer token").await;
    }
    is_good(&rest, &good).await;
}

#[tokio::test]
async fn audiences_are_as_many_and_as_odd_as_they_like() {
    let (_server, rest) = one().await;
    let odd = token(&rest, json!({"audiences": ["", "a\"b", "\u{0}", "ü"]})).await;
    let status = review(&rest, &odd, json!(["ü", "", "none"])).await;
    assert_eq!(status["audiences"], json!(["ü", ""]));
    is_refused(
        &rest,
        &odd,
        &format!("[invalid bearer token, token audiences [\"\" \"a\\\"b\" \"\\x00\" \"ü\"] is invalid for the target audiences [\"{ISSUER}\"]]"),
    )
    .await;
    let many: Vec<String> = (0..50_000).map(|number| format!("a{number}")).collect();
    let large = token(&rest, json!({"audiences": many})).await;
    let wanted: Vec<String> = (0..50_000).map(|number| format!("b{number}")).collect();
    let status = review(&rest, &large, json!(wanted)).await;
    assert!(text(&status, "/error").starts_with("[invalid bearer token, token audiences"));
    let status = review(&rest, &large, json!(["a49999"])).await;
    assert_eq!(status["audiences"], json!(["a49999"]));
}

#[tokio::test]
async fn the_key_outlives_the_server_and_is_shown_to_nobody() {
    let mut server = Server::with(&["--log", "debug"]).await;
    let rest = Rest::of_server(&server).await;
    let mut watch = rest
        .watch("/api/v1/secrets?watch=1&resourceVersion=0")
        .await;
    let before = token(&rest, json!({})).await;
    let secrets = "/api/v1/namespaces/default/secrets";
    rest.post(201, secrets, json!({"metadata": {"name": "s"}}))
        .await;
    watch.expect("ADDED", "s").await;
    for path in [
        "/api/v1/KEYS",
        "/api/v1/KEYS/tokens",
        "/api/v1/namespaces/KEYS/tokens",
    ] {
        let (status, _) = rest.send(Method::GET, path, &[], "").await;
        assert_eq!(status, 404, "{path}");
    }
    server.restart().await;
    let rest = Rest::of_server(&server).await;
    is_good(&rest, &before).await;
    let after = token(&rest, json!({})).await;
    assert_eq!(part(&after, 0), part(&before, 0));
    server.kill().await;
    server.launch().await;
    let rest = Rest::of_server(&server).await;
    is_good(&rest, &before).await;
    server.terminate();
    server.ended().await;
    let checked = run(&["check"], &[], server.folder()).await;
    assert!(checked.status.success(), "{}", checked.stdout);
    for told in [server.logs(), checked.stdout, checked.stderr] {
        // So every private key of this kind begins, in base64.
        assert!(!told.contains("MIGHAgEAMBMGByqGSM49"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_over_one_store_sign_with_one_key() {
    let cluster = Cluster::start(Config::new(1)).await.unwrap();
    let store = format!("tikv://{}", cluster.pd_endpoints().join(","));
    let (mut servers, mut faces) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let server = Server::with(&["--store", &store]).await;
        faces.push(Rest::of_server(&server).await);
        servers.push(server);
    }
    // All at once, and all are the first.
    let callers = (0..12).map(|number| {
        let rest = faces[number % 2].clone();
        tokio::spawn(async move { token(&rest, json!({})).await })
    });
    let mut tokens = Vec::new();
    for caller in callers.collect::<Vec<_>>() {
        tokens.push(caller.await.unwrap());
    }
    for token in &tokens {
        assert_eq!(part(token, 0), part(&tokens[0], 0));
        for rest in &faces {
            is_good(rest, token).await;
        }
    }
    // What is gone at one is gone at the other.
    let account = format!("{ACCOUNTS}/default");
    faces[0].expect(200, Method::DELETE, &account, None).await;
    let words = "[invalid bearer token, serviceaccounts \"default\" not found]";
    is_refused(&faces[1], &tokens[0], words).await;
}
