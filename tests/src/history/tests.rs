//! The checker finds what is wrong: a small history that is right, and each way to spoil it.

use serde_json::{Value, json};

use super::{Asked, Call, Stream, Tenant, Told, Version, lock};
use crate::{Event, POD, SERVICE, merge};

fn object(name: &str, uid: &str, revision: u64, write: u64, color: &str) -> Value {
    json!({"metadata": {
        "name": name, "uid": uid, "resourceVersion": revision.to_string(),
        "annotations": {"write": write.to_string()}, "labels": {"color": color},
    }})
}

fn version(name: &str, uid: &str, revision: u64, write: u64, color: &str) -> Version {
    Version::of(POD, &object(name, uid, revision, write, color))
}

fn call(tenant: &Tenant, name: &str, asked: Asked, told: Told) {
    let call = tenant.begin(POD, name, asked);
    tenant.end(call, told);
}

fn event(kind: &str, object: Value) -> Event {
    Event {
        kind: kind.to_owned(),
        object,
    }
}

/// A pod is made, made blue, read, deleted; another is made and its answer lost; all is watched twice.
fn history() -> Tenant {
    let tenant = Tenant::default();
    let first = version("a", "u1", 11, 1, "red");
    let second = version("a", "u1", 12, 2, "blue");
    let other = version("b", "u2", 13, 3, "red");
    let all = Asked::List {
        red: false,
        any: false,
    };
    call(&tenant, "a", Asked::Get, Told::NotFound);
    call(&tenant, "a", Asked::Create(1), Told::Done(first));
    call(&tenant, "a", Asked::Create(9), Told::AlreadyExists);
    call(
        &tenant,
        "a",
        Asked::Update(2, Some(11)),
        Told::Done(second.clone()),
    );
    call(&tenant, "a", Asked::Update(8, Some(11)), Told::Conflict);
    call(&tenant, "a", Asked::Get, Told::Done(second.clone()));
    call(&tenant, "b", Asked::Create(3), Told::Unknown);
    call(
        &tenant,
        "",
        all,
        Told::Listed(13, vec![second.clone(), other]),
    );
    call(&tenant, "a", Asked::Delete, Told::Done(second));
    call(&tenant, "a", Asked::Delete, Told::NotFound);
    let events = [
        ("ADDED", object("a", "u1", 11, 1, "red")),
        ("MODIFIED", object("a", "u1", 12, 2, "blue")),
        ("ADDED", object("b", "u2", 13, 3, "red")),
        ("DELETED", object("a", "u1", 14, 2, "blue")),
    ];
    let mut stream = Stream::new(POD, false, 10);
    for (kind, object) in events {
        tenant.seen(&mut stream, &event(kind, object));
    }
    tenant.close(stream);
    let mut stream = Stream::new(POD, true, 10);
    for (kind, object) in [
        ("ADDED", object("a", "u1", 11, 1, "red")),
        ("DELETED", object("a", "u1", 12, 1, "red")),
        ("ADDED", object("b", "u2", 13, 3, "red")),
        ("BOOKMARK", json!({"metadata": {"resourceVersion": "14"}})),
    ] {
        tenant.seen(&mut stream, &event(kind, object));
    }
    tenant.close(stream);
    tenant
}

#[test]
fn a_right_history_is_right() {
    let summary = history().check().unwrap();
    let found = (
        summary.changes,
        summary.answered,
        summary.unknown,
        summary.landed,
    );
    assert_eq!(found, (4, 9, 1, 1));
    assert_eq!((summary.streams, summary.events), (2, 7));
}

/// Spoils the history, and returns what the checker says of it.
fn spoilt(spoil: impl FnOnce(&mut Vec<Call>, &mut Vec<Stream>)) -> String {
    let tenant = history();
    spoil(&mut lock(&tenant.calls), &mut lock(&tenant.streams));
    tenant.check().unwrap_err().join("\n")
}

#[test]
fn what_watchers_miss_or_get_twice_is_found() {
    let missed = spoilt(|_, streams| {
        streams[0].events.remove(2);
    });
    assert!(missed.contains("between 12 and 14"), "{missed}");
    let missed = spoilt(|_, streams| {
        streams[1].events.remove(1);
    });
    assert!(missed.contains("red: true"), "{missed}");
    let twice = spoilt(|_, streams| {
        let event = streams[0].events[1].clone();
        streams[0].events.insert(2, event);
    });
    assert!(twice.contains("red: false"), "{twice}");
    spoilt(|_, streams| streams[1].events.swap(0, 1));
    let cut = spoilt(|_, streams| {
        streams[1].events.pop();
    });
    assert!(cut.contains("got None"), "{cut}");
    let other = spoilt(|_, streams| {
        streams[0].events[0].1 = version("a", "u1", 11, 1, "green");
    });
    assert!(other.contains("two changes at 11"), "{other}");
}

#[test]
fn writes_that_are_lost_or_doubled_or_come_in_spite_of_a_refusal_are_found() {
    let lost = spoilt(|_, streams| {
        streams[0].events.pop();
        streams[0].end = 13;
    });
    assert!(lost.contains("Delete"), "{lost}");
    let refused = spoilt(|calls, _| calls[6].told = Told::AlreadyExists);
    assert!(refused.contains("cannot have made"), "{refused}");
    let twice = spoilt(|_, streams| {
        streams[0].events[2].1 = version("b", "u2", 13, 1, "red");
        streams[1].events[2].1 = version("b", "u2", 13, 1, "red");
    });
    assert!(twice.contains("written twice"), "{twice}");
    let unasked = spoilt(|calls, _| calls[8].told = Told::NotFound);
    assert!(unasked.contains("nobody deleted"), "{unasked}");
    let condition = spoilt(|calls, _| calls[3].asked = Asked::Update(2, Some(10)));
    assert!(condition.contains("cannot have made"), "{condition}");
}

#[test]
fn answers_that_were_not_so_are_found() {
    let stale = version("a", "u1", 11, 1, "red");
    for spoil in [
        |calls: &mut Vec<Call>, _: &Version| calls[0].told = Told::AlreadyExists,
        // At that time it was there, and then it was gone.
        |calls: &mut Vec<Call>, _: &Version| calls[5].told = Told::NotFound,
        |calls: &mut Vec<Call>, stale: &Version| calls[5].told = Told::Done(stale.clone()),
        |calls: &mut Vec<Call>, _: &Version| calls[9].told = Told::Conflict,
        |calls: &mut Vec<Call>, _: &Version| calls[2].name = "c".to_owned(),
        |calls: &mut Vec<Call>, stale: &Version| {
            calls[7].told = Told::Listed(11, vec![stale.clone()]);
        },
        |calls: &mut Vec<Call>, _: &Version| calls[7].told = Told::Listed(13, vec![]),
    ] {
        let found = spoilt(|calls, _| spoil(calls, &stale));
        assert!(found.contains("was not so"), "{found}");
    }
    // A list of anything that has been may be old, but must have been.
    let old = Asked::List {
        red: false,
        any: true,
    };
    let tenant = history();
    call(
        &tenant,
        "",
        old.clone(),
        Told::Listed(11, vec![stale.clone()]),
    );
    tenant.check().unwrap();
    call(&tenant, "", old, Told::Listed(12, vec![stale]));
    tenant.check().unwrap_err();
}

#[test]
fn an_address_that_two_services_have_is_found() {
    let tenant = history();
    let mut stream = Stream::new(SERVICE, false, 14);
    for number in 0..2 {
        let revision = 15 + number;
        let of = object(&format!("s{number}"), "u", revision, revision, "red");
        let address = json!({"spec": {"clusterIP": "10.96.0.7"}});
        tenant.seen(&mut stream, &event("ADDED", merge(of, address)));
        let asked = tenant.begin(SERVICE, &format!("s{number}"), Asked::Create(revision));
        tenant.end(asked, Told::Unknown);
    }
    tenant.close(stream);
    let found = tenant.check().unwrap_err().join("\n");
    assert!(found.contains("s1 and s0 have 10.96.0.7 at 16"), "{found}");
}
