//! Names of objects, labels, ports, variables and tenants.

use std::time::{Duration, SystemTime};

use k8shost_types::{
    Error, FieldError, Reason,
    field::{Path, quote},
    meta,
    names::*,
    tenant::{DEFAULT_ORG, DEFAULT_PROJECT, OrgName, ProjectName, TenantName},
    time,
};
use proptest::prelude::*;
use serde_json::json;

/// Each of the accepted without fault, each of the refused with one at least.
fn check(rule: impl Fn(&str) -> Faults, accepted: &[&str], refused: &[&str]) {
    for name in accepted {
        assert_eq!(rule(name), [""; 0], "{name:?}");
    }
    for name in refused {
        assert_ne!(rule(name), [""; 0], "{name:?}");
    }
}

#[test]
fn dns_names() {
    let (l63, l64) = ("a".repeat(63), "a".repeat(64));
    let (l253, l254) = ("a".repeat(253), "a".repeat(254));
    let bad = [
        "", "-a", "a-", "A", "a_b", ".", ".a", "a.", "a..b", "a.-b", "a b", "é", "a\n", "/",
    ];
    check(dns1123_label, &["a", "0", "a-b", "1-2", "a--b", &l63], &bad);
    check(dns1123_label, &[], &["a.b", &l64]);
    check(dns1123_subdomain, &["a", "a.b", "0.1-2", &l64, &l253], &bad);
    check(dns1123_subdomain, &[], &[&l254]);
    check(dns1035_label, &["a", "a0", "a-0", &l63], &bad);
    check(dns1035_label, &[], &["0a", "a.b", &l64]);
    check(
        wildcard_dns1123_subdomain,
        &["*.a", "*.a.b"],
        &["", "*", "*.", "a", "a.*", "*a"],
    );
    check(
        dns1123_subdomain_with_underscore,
        &["a", "_a.b_c", "a.b"],
        &["", "a_", "__", "_", "A"],
    );
    assert_eq!(dns1123_label("a.b"), ["must not contain dots"]);
    assert_eq!(dns1123_label(&l64), ["must be no more than 63 characters"]);
}

#[test]
fn keys_and_values() {
    let l63 = "a".repeat(63);
    let l64 = "a".repeat(64);
    let prefixed = format!("{}/{l63}", "a".repeat(253));
    check(
        qualified_name,
        &["a", "A.b_c-d", "a/b", "a.b/C", &l63, &prefixed],
        &["", "/", "a/", "/a", "a/b/c", "A/b", "-a", "a-", "a b", &l64],
    );
    check(qualified_name, &[], &[&format!("a{prefixed}")]);
    assert_eq!(qualified_name("/a"), ["prefix part must be non-empty"]);
    assert_eq!(qualified_name("a/b/c").len(), 1);
    check(
        label_value,
        &["", "a", "A.b_c-d", &l63],
        &["-", "a-", "a b", "é", &l64],
    );
    check(
        config_key,
        &["a", "A.b_c", "-", ".a"],
        &["", ".", "..", "..a", "a b", "a/b"],
    );
}

#[test]
fn other_names() {
    check(
        port_name,
        &["http", "a-1", "123456789012a45"],
        &["", "1", "-a", "a-", "a--b", "A", "1234567890123456", "a_b"],
    );
    check(env_name, &["a", "A B", "!", "1"], &["", "a=b", "é", "\n"]);
    check(http_header_name, &["X-A", "1"], &["", "a b", "a:"]);
    check(c_identifier, &["_", "a1", "A_b"], &["", "1a", "a-b"]);
    check(percent, &["0%", "100%"], &["", "%", "1", "1.5%", "-1%"]);
    let segment = |name: &str| path_segment(name, false);
    check(segment, &["a", "A b", "..."], &[".", "..", "a/b", "a%b"]);
    // What is a prefix may be what a name may not.
    assert_eq!(path_segment(".", true), [""; 0]);
    assert_eq!(subdomain_rule("a-", true), [""; 0]);
    assert_ne!(subdomain_rule("a-", false), [""; 0]);
    assert_ne!(subdomain_rule("-", true), [""; 0]);
    assert_eq!(label_rule("a-", true), [""; 0]);
    assert_eq!(label1035_rule("a-", true), [""; 0]);
}

#[test]
fn tenants() {
    for good in ["a", "default-org", "0"] {
        assert_eq!(
            OrgName::new(good).map(|org| org.to_string()).ok(),
            Some(good.to_owned())
        );
    }
    for bad in ["", "a@b", "a/b", "a.b", "A", "-", &"a".repeat(64)] {
        assert_eq!(
            OrgName::new(bad).map_err(|e| e.reason),
            Err(Reason::BadRequest)
        );
        assert_eq!(
            ProjectName::new(bad).map_err(|e| e.reason),
            Err(Reason::BadRequest)
        );
    }
    assert_eq!(
        ProjectName::new("a.b").expect_err("a dot").message,
        "invalid project name \"a.b\": must not contain dots"
    );
    let default = TenantName::default();
    assert!(default.is_default());
    assert_eq!(
        default,
        TenantName::new(DEFAULT_ORG, DEFAULT_PROJECT).expect("valid names")
    );
    assert_eq!(default.to_string(), "default-org/default-project");
    assert!(
        !TenantName::new(DEFAULT_ORG, "other")
            .expect("valid names")
            .is_default()
    );
}

#[test]
fn times() {
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_323_045_999);
    assert_eq!(time::format(at), "2026-01-02T03:04:05Z");
    let whole = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_323_045);
    for same in [
        "2026-01-02T03:04:05Z",
        "2026-01-02T05:04:05+02:00",
        "2026-01-02T03:04:05.000Z",
    ] {
        assert_eq!(time::parse(same), Some(whole));
    }
    for bad in ["", "2026-01-02", "2026-01-02T03:04:05", "yesterday"] {
        assert_eq!(time::parse(bad), None, "{bad}");
    }
}

#[test]
fn paths_and_quotes() {
    let spec = Path::new("spec");
    let list = spec.child("containers");
    let item = list.index(2);
    let map = item.child("requests");
    assert_eq!(
        map.key("cpu").to_string(),
        "spec.containers[2].requests[cpu]"
    );
    assert_eq!(
        quote("a\"b\\c\n\t\u{1}\u{7f}é\u{200b}"),
        "\"a\\\"b\\\\c\\n\\t\\x01\\x7fé\u{200b}\""
    );
    let error = FieldError::invalid(&spec, &json!({"a": [1, "b"]}), "wrong");
    assert_eq!(
        error.to_string(),
        "spec: Invalid value: {\"a\":[1,\"b\"]}: wrong"
    );
    // A long list is cut off.
    let error = FieldError::invalid(&spec, &json!(vec!["é"; 10_000]), "wrong");
    assert!(error.message.len() < 1100, "{}", error.message.len());
    assert!(error.message.ends_with("…: wrong"));
    let error = FieldError::too_many(&spec, 3, 1);
    assert_eq!(
        error.to_string(),
        "spec: Too many: 3: must have at most 1 item"
    );
    let error = FieldError::too_long(&spec, 2);
    assert_eq!(
        error.to_string(),
        "spec: Too long: may not be more than 2 bytes"
    );
}

#[test]
fn errors_in_kubernetes_words() {
    let cases = [
        (
            Error::not_found("pods", "x"),
            Reason::NotFound,
            "pods \"x\" not found",
        ),
        (
            Error::already_exists("pods", "x"),
            Reason::AlreadyExists,
            "pods \"x\" already exists",
        ),
        (
            Error::modified("pods", "x"),
            Reason::Conflict,
            "Operation cannot be fulfilled on pods \"x\": the object has been modified; please apply your changes to the latest version and try again",
        ),
        (
            Error::forbidden("pods", "x", "no"),
            Reason::Forbidden,
            "pods \"x\" is forbidden: no",
        ),
        (
            Error::namespace_terminating("pods", "x", "n"),
            Reason::Forbidden,
            "pods \"x\" is forbidden: unable to create new content in namespace n because it is being terminated",
        ),
        (Error::bad_request("no"), Reason::BadRequest, "no"),
    ];
    for (error, reason, message) in cases {
        assert_eq!((error.reason, error.message.as_str()), (reason, message));
    }
    // The same said twice is said once.
    let fault = || FieldError::required(&Path::new("spec"), "");
    let error = Error::invalid("Pod", "x", vec![fault(), fault()]);
    assert_eq!(error.message, "Pod \"x\" is invalid: spec: Required value");
    assert_eq!(error.fields.len(), 2);
}

#[test]
fn generated_names() {
    let name = |base: &str| {
        let mut object = json!({"metadata": {"generateName": base}});
        meta::generate_name(&mut object, &meta::name_suffix(123_456_789));
        meta::name(&object).to_owned()
    };
    assert_eq!(name("a-").len(), 7);
    assert!(name("a-").starts_with("a-"));
    assert_eq!(name(&"a".repeat(70)).len(), 63);
    assert_eq!(name(""), "");
    assert_ne!(meta::name_suffix(1), meta::name_suffix(2));
    let mut named = json!({"metadata": {"generateName": "a-", "name": "b"}});
    meta::generate_name(&mut named, "xxxxx");
    assert_eq!(meta::name(&named), "b");
}

proptest! {
    #[test]
    fn no_name_is_too_odd(text in any::<String>(), prefix in any::<bool>()) {
        let rules: [fn(&str) -> Faults; 13] = [
            dns1123_label, dns1123_subdomain, dns1123_subdomain_with_underscore, dns1035_label,
            wildcard_dns1123_subdomain, qualified_name, label_value, port_name, env_name,
            config_key, http_header_name, c_identifier, percent,
        ];
        for rule in rules {
            rule(&text);
        }
        for rule in [subdomain_rule, label_rule, label1035_rule, path_segment] {
            rule(&text, prefix);
        }
        quote(&text);
        time::parse(&text);
    }

    #[test]
    fn a_label_is_a_subdomain_and_a_key(text in "[a-z0-9.-]{0,5}") {
        if dns1035_label(&text).is_empty() {
            prop_assert!(dns1123_label(&text).is_empty());
        }
        if dns1123_label(&text).is_empty() {
            prop_assert!(dns1123_subdomain(&text).is_empty());
            prop_assert!(OrgName::new(&text).is_ok());
        }
        if dns1123_subdomain(&text).is_empty() {
            prop_assert!(qualified_name(&text).is_empty());
            prop_assert!(label_value(&text).is_empty());
            prop_assert!(path_segment(&text, false).is_empty());
        }
    }

    #[test]
    fn a_time_is_read_back(seconds in 0..253_402_300_799_u64) {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        prop_assert_eq!(time::parse(&time::format(at)), Some(at));
    }

    #[test]
    fn a_generated_name_is_a_name(base in "[a-z]([a-z0-9-]{0,80})", random in any::<u64>()) {
        if subdomain_rule(&base, true).is_empty() {
            let mut object = json!({"metadata": {"generateName": base}});
            meta::generate_name(&mut object, &meta::name_suffix(random));
            prop_assert_eq!(subdomain_rule(meta::name(&object), false), [""; 0]);
        }
    }
}
