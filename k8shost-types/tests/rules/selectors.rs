//! Selectors by labels and by fields.

use k8shost_types::{
    Reason,
    selector::{FieldSelector, LabelSelector, Operator},
};
use proptest::prelude::*;

fn labels(selector: &str) -> LabelSelector {
    LabelSelector::parse(selector).unwrap_or_else(|error| panic!("{selector}: {error}"))
}

fn matches(selector: &str, of: &[(&'static str, &'static str)]) -> bool {
    let lookup = |key: &str| of.iter().find(|(k, _)| *k == key).map(|(_, value)| *value);
    labels(selector).matches(lookup)
}

#[test]
fn labels_match() {
    let of = [("app", "web"), ("tier", ""), ("n", "5")];
    for yes in [
        "",
        "app=web",
        "app==web",
        "app",
        "!other",
        "app!=db",
        "other!=x",
        "tier=",
        "app in (db, web)",
        "app notin (db)",
        "other notin (db)",
        "tier in ()",
        "tier in (,a)",
        "n>4",
        "n<6",
        "app=web,n>4,!x",
        " app = web , n > 4 ",
        "app in (web),tier notin (a,b)",
    ] {
        assert!(matches(yes, &of), "{yes}");
    }
    for no in [
        "app=db",
        "!app",
        "other",
        "app!=web",
        "app notin (web)",
        "app in (db)",
        "n>5",
        "n<5",
        "app>1",
        "other>1",
        "other=",
        "app=web,other",
    ] {
        assert!(!matches(no, &of), "{no}");
    }
}

#[test]
fn label_selectors_have_one_form() {
    for (text, expected) in [
        ("", ""),
        (" a ", "a"),
        ("b,a", "a,b"),
        ("! a", "!a"),
        ("a in (c,b,,b)", "a in (,b,c)"),
        ("a notin(b)", "a notin (b)"),
        ("a==b", "a==b"),
        ("a = b,c!=d", "a=b,c!=d"),
        ("in in (in)", "in in (in)"),
        ("notin=in", "notin=in"),
        ("a>1,b<2", "a>1,b<2"),
        ("a=", "a="),
    ] {
        assert_eq!(labels(text).to_string(), expected, "{text:?}");
    }
    let selector = labels("b notin (y,x),a");
    let requirements = selector.requirements();
    assert_eq!(requirements[0].operator(), Operator::Exists);
    assert_eq!(requirements[1].key(), "b");
    assert_eq!(requirements[1].values().collect::<Vec<_>>(), ["x", "y"]);
}

#[test]
fn label_selectors_that_cannot_be_read() {
    let cases = [
        (
            "(",
            "found '(', expected: !, identifier, or 'end of string'",
        ),
        (
            "a b",
            "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
        ),
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        (
            "a=(",
            "unable to parse requirement: found '(', expected: identifier",
        ),
        (
            "a in",
            "unable to parse requirement: found '' expected: '('",
        ),
        (
            "a in (b",
            "unable to parse requirement: found '', expected: ',' or ')'",
        ),
        (
            "a>b",
            "unable to parse requirement: values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators, the value must be an integer",
        ),
        (
            "-a",
            "unable to parse requirement: <nil>: Invalid value: \"-a\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
        ),
    ];
    for (text, expected) in cases {
        let error = LabelSelector::parse(text).expect_err(text);
        assert_eq!(
            (error.reason, error.message.as_str()),
            (Reason::BadRequest, expected)
        );
    }
}

const POD_FIELDS: &[&str] = &["metadata.name", "spec.nodeName", "status.phase"];

#[test]
fn fields_match() {
    let of = |field: &str| match field {
        "metadata.name" => Some("a,b=c\\d"),
        "spec.nodeName" => Some("n1"),
        _ => None,
    };
    let matches = |text: &str| FieldSelector::parse(text).expect(text).matches(of);
    for yes in [
        "",
        ",",
        "spec.nodeName=n1",
        "spec.nodeName==n1",
        "spec.nodeName!=n2",
        "status.phase=",
        "status.phase!=x,spec.nodeName=n1",
        "metadata.name=a\\,b\\=c\\\\d",
    ] {
        assert!(matches(yes), "{yes}");
    }
    for no in [
        "spec.nodeName=n2",
        "spec.nodeName!=n1",
        "status.phase=x",
        "metadata.name=",
    ] {
        assert!(!matches(no), "{no}");
    }
    let selector = FieldSelector::parse("status.phase!=x,metadata.name=a\\,b").expect("a selector");
    assert_eq!(selector.requires("metadata.name"), Some("a,b"));
    assert_eq!(selector.requires("status.phase"), None);
    assert_eq!(selector.to_string(), "metadata.name=a\\,b,status.phase!=x");
}

#[test]
fn field_selectors_that_are_refused() {
    let cases = [
        ("x", "invalid selector: 'x'; can't understand 'x'"),
        ("a=b,x", "invalid selector: 'a=b,x'; can't understand 'x'"),
        (
            "a=b\\c",
            "invalid field selector: invalid escape sequence: \\c",
        ),
        (
            "a=b=c",
            "invalid field selector: unescaped character in value: 61",
        ),
    ];
    for (text, expected) in cases {
        let error = FieldSelector::parse(text).expect_err(text);
        assert_eq!(
            (error.reason, error.message.as_str()),
            (Reason::BadRequest, expected)
        );
    }
    let supported = |text: &str| {
        FieldSelector::parse(text)
            .and_then(|selector| selector.supported(POD_FIELDS))
            .map(|selector| selector.to_string())
            .map_err(|error| error.message)
    };
    assert_eq!(supported("spec.host=a"), Ok("spec.nodeName=a".to_owned()));
    assert_eq!(
        supported("spec.nodeName=a,spec.x=b"),
        Err("field label not supported: spec.x".to_owned())
    );
}

fn requirement() -> impl Strategy<Value = String> {
    let key = "[a-c]|in|notin|a\\.b/c";
    let value = "[a-c0-9]{0,2}";
    prop_oneof![
        (key, "=|==|!=", value)
            .prop_map(|(key, operator, value)| format!("{key}{operator}{value}")),
        (key, " in | notin ", prop::collection::vec(value, 1..4))
            .prop_map(|(key, operator, values)| format!("{key}{operator}({})", values.join(","))),
        (key, ">|<", "[0-9]{1,3}")
            .prop_map(|(key, operator, value)| format!("{key}{operator}{value}")),
        "!?[a-c]",
    ]
}

proptest! {
    #[test]
    fn label_selectors_are_read_back(terms in prop::collection::vec(requirement(), 0..4)) {
        let selector = labels(&terms.join(","));
        prop_assert_eq!(labels(&selector.to_string()), selector);
    }

    /// What one operator wants is what its opposite does not.
    #[test]
    fn opposites(key in "[a-c]", values in prop::collection::vec("[a-c]", 1..3), value in prop::option::of("[a-c]")) {
        let of = |_: &str| value.as_deref();
        let set = values.join(",");
        for (one, other) in [
            (format!("{key} in ({set})"), format!("{key} notin ({set})")),
            (format!("{key}={}", values[0]), format!("{key}!={}", values[0])),
            (key.clone(), format!("!{key}")),
        ] {
            prop_assert_ne!(labels(&one).matches(of), labels(&other).matches(of));
        }
    }

    #[test]
    fn field_values_are_escaped(value in any::<String>(), equal in any::<bool>()) {
        let mut escaped = String::new();
        for c in value.chars() {
            if matches!(c, ',' | '=' | '\\') {
                escaped.push('\\');
            }
            escaped.push(c);
        }
        let operator = if equal { "=" } else { "!=" };
        let selector = FieldSelector::parse(&format!("a{operator}{escaped}")).expect("it is escaped");
        prop_assert_eq!(selector.matches(|_| Some(value.as_str())), equal);
        prop_assert_eq!(FieldSelector::parse(&selector.to_string()).ok(), Some(selector));
    }
}
