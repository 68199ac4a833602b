//! Tokens of service accounts: what is asked for, what they claim, and when they are good.

use std::time::{Duration, SystemTime};

use k8shost_types::{
    Error, Reason,
    authentication::{self, ISSUER, Order, TOKEN_REQUEST, bearer, reviewed},
};
use serde_json::{Value, json};

use crate::common::now;

/// As claims count.
fn seconds(at: SystemTime) -> i64 {
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970");
    i64::try_from(since.as_secs()).expect("before the end of time")
}

fn object(name: &str, spec: Value) -> Value {
    json!({"metadata": {"name": name, "uid": format!("{name}-uid")}, "spec": spec})
}

/// What there is: `resource/namespace/name`.
fn world() -> Vec<(&'static str, Value)> {
    let own = json!({"serviceAccountName": "robot", "nodeName": "n1"});
    let astray = json!({"serviceAccountName": "robot", "nodeName": "n9"});
    vec![
        ("serviceaccounts/ns/robot", object("robot", json!(null))),
        ("pods/ns/own", object("own", own)),
        ("pods/ns/astray", object("astray", astray)),
        (
            "pods/ns/other",
            object("other", json!({"serviceAccountName": "else"})),
        ),
        ("secrets/ns/s", object("s", json!(null))),
        ("nodes//n1", object("n1", json!(null))),
    ]
}

fn lookup(world: &[(&str, Value)]) -> impl Fn(&str, &str, &str) -> Result<Option<Value>, Error> {
    move |resource, namespace, name| {
        let key = format!("{resource}/{namespace}/{name}");
        let found = world.iter().find(|(at, _)| *at == key);
        Ok(found.map(|(_, object)| object.clone()))
    }
}

fn order(mut request: Value) -> Result<Order, Error> {
    (TOKEN_REQUEST.default)(&mut request);
    authentication::order(request, "ns", "robot", &lookup(&world()), "id-1", now())
}

fn claims(request: Value) -> Value {
    match order(request) {
        Ok(order) => order.claims,
        Err(error) => panic!("{error}"),
    }
}

fn bound(reference: Value) -> Value {
    json!({"spec": {"boundObjectRef": reference}})
}

fn pod_bound(name: &str) -> Value {
    bound(json!({"apiVersion": "v1", "kind": "Pod", "name": name}))
}

fn review(claims: &Value, wanted: Value, later: u64) -> Result<Value, String> {
    let wanted = wanted.as_array().cloned().unwrap_or_default();
    let at = now() + Duration::from_secs(later);
    reviewed(claims, &wanted, &lookup(&world()), at)
}

#[test]
fn an_empty_request_gets_all_defaults() {
    let Ok(Order { request, claims }) = order(json!({"metadata": {"labels": {"a": "b"}}})) else {
        panic!("it is in order");
    };
    let at = request["metadata"]["creationTimestamp"].clone();
    assert_eq!(
        request,
        json!({
            "metadata": {
                "name": "robot", "namespace": "ns", "uid": "robot-uid", "creationTimestamp": at,
                "labels": {"a": "b"},
            },
            "spec": {"audiences": [ISSUER], "expirationSeconds": 3600, "boundObjectRef": null},
            "status": {
                "token": "",
                "expirationTimestamp": k8shost_types::time::format(now() + Duration::from_secs(3600)),
            },
        })
    );
    let issued = seconds(now());
    assert_eq!(
        claims,
        json!({
            "iss": ISSUER, "aud": [ISSUER], "sub": "system:serviceaccount:ns:robot", "jti": "id-1",
            "iat": issued, "nbf": issued, "exp": issued + 3600,
            "kubernetes.io": {
                "namespace": "ns", "serviceaccount": {"name": "robot", "uid": "robot-uid"},
            },
        })
    );
}

#[test]
fn what_a_token_is_bound_to_is_claimed() {
    for (reference, expected) in [
        (
            json!({"apiVersion": "v1", "kind": "Pod", "name": "own", "uid": "own-uid"}),
            json!({"pod": {"name": "own", "uid": "own-uid"}, "node": {"name": "n1", "uid": "n1-uid"}}),
        ),
        (
            json!({"apiVersion": "v1", "kind": "Pod", "name": "astray"}),
            json!({"pod": {"name": "astray", "uid": "astray-uid"}, "node": {"name": "n9"}}),
        ),
        (
            json!({"apiVersion": "v1", "kind": "Secret", "name": "s"}),
            json!({"secret": {"name": "s", "uid": "s-uid"}}),
        ),
        // Of the core group any version will do, or none.
        (
            json!({"kind": "Node", "name": "n1"}),
            json!({"node": {"name": "n1", "uid": "n1-uid"}}),
        ),
    ] {
        let mut own = claims(bound(reference))["kubernetes.io"].take();
        let fields = own.as_object_mut().expect("an object");
        fields.remove("namespace");
        fields.remove("serviceaccount");
        assert_eq!(own, expected);
    }
}

#[test]
fn a_token_of_a_pod_that_may_never_be_read_again_is_good_for_a_year() {
    let issued = seconds(now());
    let mut request = pod_bound("own");
    request["spec"]["expirationSeconds"] = json!(3607);
    let told = claims(request.clone());
    assert_eq!(told["exp"], issued + 365 * 24 * 3600);
    assert_eq!(told["kubernetes.io"]["warnafter"], issued + 3607);
    // Only for the API, and only a pod's.
    request["spec"]["audiences"] = json!([ISSUER, "else"]);
    let told = claims(request);
    assert_eq!(told["exp"], issued + 3607);
    assert!(told["kubernetes.io"]["warnafter"].is_null());
    let told = claims(json!({"spec": {"expirationSeconds": 3607}}));
    assert_eq!(told["exp"], issued + 3607);
}

#[test]
fn what_is_not_in_order_is_refused_in_kubernetes_words() {
    let kind = "TokenRequest.authentication.k8s.io";
    let reference =
        |kind: &str, name: &str| bound(json!({"apiVersion": "v1", "kind": kind, "name": name}));
    let seconds = |seconds: i64| json!({"spec": {"expirationSeconds": seconds}});
    let uid = "the UID in the bound object reference (x) does not match the UID in record. The object might have been deleted and then recreated";
    for (request, reason, words) in [
        (
            json!({"metadata": {"name": "x"}}),
            Reason::Invalid,
            format!("{kind} \"robot\" is invalid: metadata.name: Invalid value: \"x\": must match the service account name if specified"),
        ),
        (
            json!({"metadata": {"uid": "x"}}),
            Reason::Conflict,
            format!("Operation cannot be fulfilled on {kind} \"robot\": the UID in the token request (x) does not match the UID of the service account (robot-uid)"),
        ),
        (
            seconds(599),
            Reason::Invalid,
            format!("{kind} \"\" is invalid: spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes"),
        ),
        (
            seconds((1 << 32) + 1),
            Reason::Invalid,
            format!("{kind} \"\" is invalid: spec.expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds"),
        ),
        (
            reference("Deployment", "x"),
            Reason::BadRequest,
            "cannot bind token to object of type /v1, Kind=Deployment".into(),
        ),
        (
            bound(json!({"apiVersion": "apps/v1", "kind": "Pod", "name": "own"})),
            Reason::BadRequest,
            "cannot bind token to object of type apps/v1, Kind=Pod".into(),
        ),
        (
            bound(json!({})),
            Reason::BadRequest,
            "cannot bind token to object of type /, Kind=".into(),
        ),
        (
            reference("Pod", "other"),
            Reason::BadRequest,
            "cannot bind token for serviceaccount \"robot\" to pod running with different serviceaccount name.".into(),
        ),
        (
            reference("Pod", ""),
            Reason::BadRequest,
            "Name parameter required.".into(),
        ),
        (
            reference("Pod", "../own"),
            Reason::BadRequest,
            "Name parameter invalid: \"../own\": may not contain '/'".into(),
        ),
        (
            reference("Secret", "none"),
            Reason::NotFound,
            "secrets \"none\" not found".into(),
        ),
        (
            bound(json!({"kind": "Secret", "name": "s", "uid": "x"})),
            Reason::Conflict,
            format!("Operation cannot be fulfilled on Secret \"s\": {uid}"),
        ),
    ] {
        let Err(error) = order(request.clone()) else {
            panic!("{request} is in order");
        };
        assert_eq!((error.reason, error.message), (reason, words), "{request}");
    }
    // The account is looked for before its request is judged.
    let nobody = lookup(&[]);
    let Err(error) = authentication::order(seconds(5), "ns", "robot", &nobody, "", now()) else {
        panic!("nobody has a token");
    };
    assert_eq!(error.message, "serviceaccounts \"robot\" not found");
    // The bounds themselves are in order.
    claims(seconds(600));
    claims(seconds(1 << 32));
}

#[test]
fn a_good_token_says_who_has_it() {
    let status = review(&claims(pod_bound("own")), json!(["x", ISSUER]), 0);
    let label = |name: &str| format!("authentication.kubernetes.io/{name}");
    assert_eq!(
        status,
        Ok(json!({
            "authenticated": true,
            "user": {
                "username": "system:serviceaccount:ns:robot",
                "uid": "robot-uid",
                "groups": ["system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"],
                "extra": {
                    label("credential-id"): ["JTI=id-1"],
                    label("pod-name"): ["own"],
                    label("pod-uid"): ["own-uid"],
                    label("node-name"): ["n1"],
                    label("node-uid"): ["n1-uid"],
                },
            },
            "audiences": [ISSUER],
        }))
    );
    // The node of a pod may be gone, a node that the token is bound to not.
    assert!(review(&claims(pod_bound("astray")), json!([]), 0).is_ok());
    assert!(
        review(
            &claims(bound(json!({"kind": "Node", "name": "n1"}))),
            json!([]),
            0
        )
        .is_ok()
    );
    let audiences = claims(json!({"spec": {"audiences": ["a", "", "b"]}}));
    let status = review(&audiences, json!(["", "c", "a"]), 0).expect("it is good for two");
    assert_eq!(status["audiences"], json!(["", "a"]));
}

#[test]
fn a_token_is_good_for_its_time_and_a_minute() {
    let own = claims(json!({}));
    assert!(review(&own, json!([]), 3660).is_ok());
    let expired = review(&own, json!([]), 3661);
    assert_eq!(expired, Err("service account token has expired".into()));
    let at = |field: &str, later: i64| {
        let mut claims = own.clone();
        claims[field] = json!(seconds(now()) + later);
        review(&claims, json!([]), 0)
    };
    assert!(at("nbf", 60).is_ok() && at("iat", 60).is_ok());
    let early = Err("service account token is not valid yet".to_owned());
    assert_eq!(at("nbf", 61), early);
    let early = Err("service account token is issued in the future".to_owned());
    assert_eq!(at("iat", 61), early);
    let mut endless = own.clone();
    endless["exp"] = json!(null);
    assert!(review(&endless, json!([]), 0).is_err());
    endless["exp"] = json!(i64::MIN);
    assert!(review(&endless, json!([]), 0).is_err());
}

#[test]
fn a_token_is_no_good_without_what_it_speaks_of() {
    let gone = "service account token has been invalidated";
    let secret = bound(json!({"kind": "Secret", "name": "s"}));
    let node = bound(json!({"kind": "Node", "name": "n1"}));
    for (request, place, words_of_another) in [
        (
            json!({}),
            "serviceaccounts/ns/robot",
            "service account UID (new) does not match claim (robot-uid)",
        ),
        (
            pod_bound("own"),
            "pods/ns/own",
            "pod UID (new) does not match service account pod ref claim (own-uid)",
        ),
        (
            secret,
            "secrets/ns/s",
            "secret UID (new) does not match service account secret ref claim (s-uid)",
        ),
        (
            node,
            "nodes//n1",
            "node UID (new) does not match service account node ref claim (n1-uid)",
        ),
    ] {
        let is_account = place.starts_with("serviceaccounts");
        let claims = claims(request);
        let with = |change: &dyn Fn(&mut Value)| {
            let mut world = world();
            let found = world.iter_mut().find(|(at, _)| *at == place);
            change(&mut found.expect("it is there").1);
            reviewed(&claims, &[], &lookup(&world), now())
        };
        let another = with(&|object| object["metadata"]["uid"] = json!("new"));
        assert_eq!(another, Err(words_of_another.into()));
        let deleted = |before: u64| {
            let at = k8shost_types::time::format(now() - Duration::from_secs(before));
            with(&|object| object["metadata"]["deletionTimestamp"] = json!(at))
        };
        assert!(deleted(60).is_ok(), "{place}");
        let expected = if is_account {
            "service account ns/robot has been deleted"
        } else {
            gone
        };
        assert_eq!(deleted(61), Err(expected.into()), "{place}");
        let mut rest = world();
        rest.retain(|(at, _)| *at != place);
        let expected = if is_account {
            "serviceaccounts \"robot\" not found"
        } else {
            gone
        };
        let without = reviewed(&claims, &[], &lookup(&rest), now());
        assert_eq!(without, Err(expected.into()), "{place}");
    }
}

#[test]
fn a_token_for_others_is_no_good_here() {
    let others = claims(json!({"spec": {"audiences": ["a\"", "b"]}}));
    let words = format!(
        "token audiences [\"a\\\"\" \"b\"] is invalid for the target audiences [\"{ISSUER}\"]"
    );
    assert_eq!(review(&others, json!([]), 0), Err(words));
    assert!(review(&others, json!(["c"]), 0).is_err());
    assert!(review(&others, json!(["b"]), 0).is_ok());
    // Claims of another shape are refused, not stumbled over.
    for claims in [
        json!(null),
        json!([]),
        json!({"aud": ISSUER}),
        json!({"aud": [ISSUER], "exp": "soon"}),
    ] {
        assert!(review(&claims, json!([]), 0).is_err());
        assert!(!authentication::is_own(&claims));
    }
}

#[test]
fn a_token_is_read_as_from_a_header() {
    for (given, token) in [
        ("a.b.c", "a.b.c"),
        ("a.b.c \n", "a.b.c"),
        ("a b", "a"),
        (" a", ""),
        (" ", ""),
    ] {
        assert_eq!(bearer(given), token, "{given:?}");
    }
}
