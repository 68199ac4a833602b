//! Settings: how they are read, and what is refused.

use super::*;

#[test]
fn durations_are_read_as_written() {
    assert_eq!("250ms".parse(), Ok(Span(Duration::from_millis(250))));
    assert_eq!("5m".parse(), Ok(Span(Duration::from_secs(300))));
    for wrong in [
        "",
        "5",
        "m",
        "-5m",
        "5d",
        "0s",
        "99999999999999999999h",
        "1 s",
    ] {
        assert!(wrong.parse::<Span>().is_err(), "{wrong}");
    }
}

#[test]
fn an_address_that_others_reach_is_refused_by_name() {
    let settings = Settings {
        listen: Some(vec!["0.0.0.0:6443".parse().unwrap()]),
        ..Settings::default()
    };
    let message = settings.resolve().unwrap_err().to_string();
    assert!(message.contains("0.0.0.0:6443"), "{message}");
}

#[test]
fn a_certificate_and_its_key_go_together() {
    let read = |text: &str| toml::from_str::<Settings>(text).unwrap();
    let files = TlsFiles {
        cert: "c.pem".into(),
        key: "k.pem".into(),
    };
    let half = read("tls-cert = 'c.pem'");
    let whole = half
        .clone()
        .or(read("tls-key = 'k.pem'\ntls-cert = 'other'"));
    assert_eq!(whole.resolve().unwrap().tls, Some(files));
    assert_eq!(read("").resolve().unwrap().tls, None);
    for (half, missing) in [
        (half, "--tls-key is"),
        (read("tls-key = 'k'"), "--tls-cert is"),
    ] {
        let message = half.resolve().unwrap_err().to_string();
        assert!(message.contains(missing), "{message}");
    }
}

#[test]
fn an_unknown_key_in_the_file_is_named() {
    let message = toml::from_str::<Settings>("retention = \"5m\"\nretension = \"6m\"")
        .unwrap_err()
        .to_string();
    assert!(message.contains("retension"), "{message}");
}

#[test]
fn a_cluster_is_named_as_a_store_or_by_its_pd() {
    let read = |text: &str| toml::from_str::<Settings>(text).unwrap().resolve().unwrap();
    let pd = |store: &StoreKind| match store {
        StoreKind::Tikv(options) => options.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        pd(&read("store = 'tikv://a:1?prefix=p/'").store),
        "tikv://a:1?prefix=p/"
    );
    assert_eq!(pd(&read("pd-addr = 'a:1,b:2'").store), "tikv://a:1,b:2");
    assert_eq!(
        read("pd-addr = 'a:1'\nstore = 'memory'").store,
        StoreKind::Memory
    );
    assert_eq!(read("").store, StoreKind::Embedded);
    let settings = Settings {
        flaredb_pd_addr: Some("c:3".parse().unwrap()),
        safety_window: Some(Span(Duration::from_secs(2))),
        ..Settings::default()
    };
    let StoreKind::Tikv(options) = settings.resolve().unwrap().store else {
        panic!("no cluster");
    };
    assert_eq!(
        (options.to_string(), options.window.as_secs()),
        ("tikv://c:3".into(), 2)
    );
    for wrong in [
        "store = 'tikv://a:1?ca=x'",
        "store = 'paper'",
        "pd-addr = 'a'",
    ] {
        assert!(toml::from_str::<Settings>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn peers_reach_a_server_at_a_host_and_a_port() {
    for right in ["10.0.0.7:6443", "[fd00::7]:6443", "k8shost-0.k8shost:6443"] {
        assert!(right.parse::<PeerAddress>().is_ok(), "{right}");
    }
    for wrong in [
        "",
        "10.0.0.7",
        ":6443",
        "a:0",
        "http://a:1",
        "u@a:1",
        "a:1/",
    ] {
        assert!(wrong.parse::<PeerAddress>().is_err(), "{wrong}");
    }
}

#[test]
fn flags_weigh_more_than_the_file() {
    let file: Settings = toml::from_str("log = \"debug\"\nretention = \"1m\"").unwrap();
    let flags = Settings {
        log: Some("warn".to_owned()),
        ..Settings::default()
    };
    let merged = flags.or(file).resolve().unwrap();
    assert_eq!(
        (merged.log.as_str(), merged.retention),
        ("warn", Duration::from_secs(60))
    );
}

#[test]
fn ranges_that_cannot_serve_are_refused() {
    for cidrs in [
        vec!["10.0.0.0/31"],
        vec!["10.0.0.0/16", "10.1.0.0/16"],
        vec![],
    ] {
        let nets = cidrs.iter().map(|c| c.parse().unwrap()).collect();
        let settings = Settings {
            service_cidrs: Some(nets),
            ..Settings::default()
        };
        assert!(settings.resolve().is_err(), "{cidrs:?}");
    }
    let dual = vec![
        "10.96.0.0/16".parse().unwrap(),
        "fd00::/108".parse().unwrap(),
    ];
    assert!(
        Settings {
            service_cidrs: Some(dual),
            ..Settings::default()
        }
        .resolve()
        .is_ok()
    );
}
