//! How lists, maps and sets are merged, by a schema with every form in it.

use serde_json::{Value, json};

use crate::toy::{apply, empty, owned, update};

fn with(name: &str, value: Value) -> Value {
    let mut config = empty();
    config[name] = value;
    config
}

/// What is there after `live` was written and `config` applied.
fn merged(name: &str, live: Value, config: Value) -> Value {
    let live = update(None, "writer", 1, with(name, live));
    let object = apply(Some(&live), "a", 2, &with(name, config), true).expect("is forced");
    object[name].clone()
}

#[test]
fn the_order_of_a_merged_list() {
    for (live, config, expected) in [
        ("", "ab", "ab"),
        ("ab", "c", "abc"),
        ("ab", "ba", "ba"),
        ("abc", "cb", "acb"),
        ("abc", "ca", "bca"),
        ("abc", "xb", "axbc"),
        ("abc", "bx", "abcx"),
        ("abcd", "dxb", "acdxb"),
        ("axb", "ba", "xba"),
        ("abc", "", "abc"),
        ("bax", "ab", "axb"),
    ] {
        let set = |letters: &str| -> Value { letters.chars().map(|c| json!(c)).collect() };
        assert_eq!(
            merged("set", set(live), set(config)),
            set(expected),
            "{live} and {config}"
        );
        let items = |letters: &str| -> Value {
            let items = letters.chars().map(|c| json!({"name": c}));
            items.collect()
        };
        assert_eq!(
            merged("items", items(live), items(config)),
            items(expected),
            "{live} and {config}"
        );
    }
}

#[test]
fn each_form_in_its_way() {
    for (name, live, config, expected) in [
        ("num", json!(1), json!("x"), json!("x")),
        (
            "map",
            json!({"p": 1}),
            json!({"q": 2}),
            json!({"p": 1, "q": 2}),
        ),
        ("map", json!({"p": 1}), json!({}), json!({"p": 1})),
        ("map", json!({"p": 1}), Value::Null, json!({"p": 1})),
        ("amap", json!({"p": 1}), json!({"q": 2}), json!({"q": 2})),
        ("list", json!([1, 2]), json!([3]), json!([3])),
        ("set", json!([1, 2]), json!([2.0, 3]), json!([1, 2.0, 3])),
        (
            "open",
            json!({"p": {"q": 1}}),
            json!({"p": {"r": 2}}),
            json!({"p": {"q": 1, "r": 2}}),
        ),
        ("open", json!({"p": 1}), json!([1]), json!([1])),
        ("open", json!([1]), json!({"p": null}), json!({"p": null})),
        (
            "open",
            json!({"p": [1]}),
            json!({"p": [2]}),
            json!({"p": [2]}),
        ),
        (
            "items",
            json!([{"name": "p", "value": 1, "set": ["x"]}, {"name": "q"}]),
            json!([{"name": "p", "value": 2, "set": ["y"]}]),
            json!([{"name": "p", "value": 2, "set": ["x", "y"]}, {"name": "q"}]),
        ),
        // The default of a key counts, whoever leaves it out.
        (
            "ports",
            json!([{"port": 1, "protocol": "TCP", "x": 1}, {"port": 1, "protocol": "UDP"}]),
            json!([{"port": 1, "x": 2}]),
            json!([{"port": 1, "protocol": "TCP", "x": 2}, {"port": 1, "protocol": "UDP"}]),
        ),
        // Items that are there more than once are not merged, but replaced.
        (
            "items",
            json!([{"name": "p", "value": 1}, {"name": "p", "st": {"a": 1}}, {"name": "q"}]),
            json!([{"name": "p", "st": {"b": 1}}]),
            json!([{"name": "p", "st": {"b": 1}}, {"name": "q"}]),
        ),
    ] {
        assert_eq!(
            merged(name, live.clone(), config.clone()),
            expected,
            "{name}: {live} and {config}"
        );
    }
}

#[test]
fn who_owns_what() {
    let mut config = empty();
    for (name, value) in [
        ("num", json!(1)),
        ("map", json!({"p": 1})),
        ("amap", json!({"p": 1})),
        ("list", json!([1])),
        ("set", json!(["x", 1])),
        ("st", json!({"a": 1, "m": {}})),
        ("open", json!({"p": {"q": [1]}, "r": {}})),
        (
            "items",
            json!([{"name": "p", "sub": [{"k": 1}], "set": []}]),
        ),
        ("ports", json!([{"port": 1}])),
        ("structs", json!({"p": {"a": 1}})),
    ] {
        config[name] = value;
    }
    let object = apply(None, "a", 1, &config, false).expect("creates");
    let mut expected = vec![
        ".amap",
        ".list",
        ".num",
        ".map.p",
        ".set[=1]",
        ".set[=\"x\"]",
        ".st.a",
        ".st.m",
        ".open.p",
        ".open.r",
        ".open.p.q",
        ".items[name=\"p\"]",
        ".items[name=\"p\"].name",
        ".items[name=\"p\"].sub[k=1]",
        ".items[name=\"p\"].sub[k=1].k",
        ".ports[port=1,protocol=\"TCP\"]",
        ".ports[port=1,protocol=\"TCP\"].port",
        ".structs.p",
        ".structs.p.a",
    ];
    expected.sort_unstable();
    assert_eq!(owned(&object, "a"), expected);

    // One who writes the same owns what holds it, too.
    let object = update(None, "w", 1, config);
    expected.extend([
        ".map", ".set", ".st", ".open", ".items", ".ports", ".structs",
    ]);
    expected.extend([".items[name=\"p\"].sub", ".items[name=\"p\"].set"]);
    expected.sort_unstable();
    assert_eq!(owned(&object, "w"), expected);
}

#[test]
fn items_go_only_with_their_last_owner() {
    let items = |items: Value| with("items", items);
    let a = items(json!([{"name": "p", "value": 1}, {"name": "q", "value": 1}]));
    let object = apply(None, "a", 1, &a, false).expect("creates");
    let b = items(json!([{"name": "p", "st": {"a": 1}}]));
    let mut object = apply(Some(&object), "b", 2, &b, false).expect("adds");
    // By a writer who tells nobody, such as admission.
    object["items"][1]["st"] = json!({"b": 2});
    let object = apply(Some(&object), "a", 3, &empty(), false).expect("gives up");
    assert_eq!(object["items"], json!([{"name": "p", "st": {"a": 1}}]));
    let object = apply(Some(&object), "b", 4, &empty(), false).expect("gives up");
    assert_eq!(object.get("items"), None);
    assert_eq!(object["metadata"].get("managedFields"), None);
}

#[test]
fn what_an_item_cannot_be() {
    let tell = |name: &str, value: Value| {
        let error = apply(None, "a", 1, &with(name, value), true).expect_err("does not fit");
        let message = error.message;
        let at = message.find("): ").map_or(0, |at| at + 3);
        message[at..].to_owned()
    };
    for (name, value, expected) in [
        (
            "items",
            json!([{"value": 1}]),
            ".items: element 0: associative list with keys has an element that omits all key fields [\"name\"] (and doesn't have default values for any key fields)",
        ),
        (
            "items",
            json!([{"name": "p"}, null]),
            ".items: element 1: associative list with keys may not have a null element",
        ),
        (
            "items",
            json!(["p"]),
            ".items: element 0: associative list with keys may not have non-map elements",
        ),
        (
            "items",
            json!([{"name": "p", "sub": [{"k": 1, "x": 1}]}]),
            ".items[name=\"p\"].sub[k=1].x: field not declared in schema",
        ),
        (
            "ports",
            json!([{"port": 1}, {"port": 1, "protocol": "TCP"}]),
            ".ports: duplicate entries for key [port=1,protocol=\"TCP\"]",
        ),
        (
            "set",
            json!(["x", "x"]),
            ".set: duplicate entries for key [=\"x\"]",
        ),
        (
            "set",
            json!([null]),
            ".set: element 0: associative list without keys has an element that's an explicit null",
        ),
        (
            "set",
            json!([{}]),
            ".set: element 0: associative list without keys has an element that's a map type",
        ),
        ("num", json!([]), ".num: expected any scalar, got &{[]}"),
        ("map", json!(1), ".map: expected map, got &{1}"),
        ("list", json!({}), ".list: expected list, got &{{}}"),
    ] {
        assert_eq!(tell(name, value), expected);
    }
    let mut two = with("num", json!([]));
    two["map"] = json!(1);
    let error = apply(None, "a", 1, &two, true).expect_err("does not fit");
    assert!(
        error.message.ends_with(
            "errors:\n  .map: expected map, got &{1}\n  .num: expected any scalar, got &{[]}"
        ),
        "{}",
        error.message
    );
    let deep = (0..500).fold(json!(1), |below, _| json!({"p": below}));
    assert!(tell("open", deep).ends_with("nested too deeply"));
}
