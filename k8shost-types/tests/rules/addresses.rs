//! Cluster IPs and node ports: one holder each, in range, given back and handed out again.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipnet::IpNet;
use k8shost_types::{
    Error, Reason,
    addresses::{ServiceNetwork, allocate, claims},
    service::STRATEGY,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::common::{UID, merge, now, service};

/// What a server keeps of its services: the objects, and who holds what.
struct Cluster {
    network: ServiceNetwork,
    services: Vec<Option<Value>>,
    released: BTreeSet<String>,
    seed: u64,
}

impl Cluster {
    fn new(cidrs: &[&str], node_ports: std::ops::RangeInclusive<u16>) -> Self {
        let cidrs = cidrs.iter().map(|cidr| cidr.parse().expect("a range"));
        let network = ServiceNetwork {
            cidrs: cidrs.collect(),
            node_ports,
        };
        network.check().expect("a network");
        Self {
            network,
            services: Vec::new(),
            released: BTreeSet::new(),
            seed: 1,
        }
    }

    fn held(&self) -> BTreeMap<String, usize> {
        let mut held = BTreeMap::new();
        for (i, service) in self.services.iter().enumerate() {
            for claim in service.as_ref().map(claims).unwrap_or_default() {
                assert_eq!(held.insert(claim.clone(), i), None, "{claim} is held twice");
            }
        }
        held
    }

    fn allocate(&mut self, service: &mut Value, old: Option<&Value>) -> Result<(), Error> {
        self.seed += 1;
        let held = self.held();
        allocate(
            service,
            old,
            &self.network,
            &|claim| held.contains_key(claim),
            &|claim| self.released.contains(claim),
            self.seed,
        )
    }

    fn create(&mut self, spec: Value) -> Result<Value, Error> {
        let mut new = service(spec);
        self.allocate(&mut new, None)?;
        STRATEGY.before_create(&mut new, UID, now(), "x7k2q")?;
        new["metadata"]["resourceVersion"] = json!("1");
        self.services.push(Some(new.clone()));
        self.check();
        Ok(new)
    }

    fn update(&mut self, at: usize, change: impl FnOnce(&mut Value)) -> Result<Value, Error> {
        let old = self.services[at].clone().expect("a service");
        let mut new = old.clone();
        change(&mut new["spec"]);
        self.allocate(&mut new, Some(&old))?;
        STRATEGY.before_update(&mut new, &old)?;
        self.services[at] = Some(new.clone());
        let kept = claims(&new);
        let gone = claims(&old)
            .into_iter()
            .filter(|claim| !kept.contains(claim));
        self.released.extend(gone);
        self.check();
        Ok(new)
    }

    fn delete(&mut self, at: usize) {
        if let Some(service) = self.services[at].take() {
            self.released.extend(claims(&service));
        }
    }

    /// What must hold after each step.
    fn check(&self) {
        for claim in self.held().keys() {
            match claim.split_once('/') {
                Some(("port", port)) => {
                    let port = port.parse().expect("a port");
                    assert!(self.network.node_ports.contains(&port), "{claim}");
                }
                Some(("ip", ip)) => {
                    let ip: IpAddr = ip.parse().expect("an address");
                    let within = |cidr: &IpNet| {
                        cidr.contains(&ip)
                            && ip != cidr.network()
                            && (ip.is_ipv6() || ip != cidr.broadcast())
                    };
                    assert!(self.network.cidrs.iter().any(within), "{claim}");
                }
                _ => panic!("{claim} is no claim"),
            }
        }
        for service in self.services.iter().flatten() {
            let spec = &service["spec"];
            let ips = spec["clusterIPs"].as_array().map_or(0, Vec::len);
            match spec["type"].as_str() {
                Some("ExternalName") => assert_eq!(claims(service), [""; 0]),
                _ if spec["clusterIP"] == "None" => assert_eq!(ips, 1),
                _ => {
                    assert_eq!(spec["clusterIP"], spec["clusterIPs"][0]);
                    assert_eq!(Some(ips), spec["ipFamilies"].as_array().map(Vec::len));
                }
            }
        }
    }
}

fn v4() -> Cluster {
    Cluster::new(&["10.96.0.0/28"], 30000..=30003)
}

fn dual() -> Cluster {
    Cluster::new(&["10.96.0.0/28", "fd00::/124"], 30000..=30007)
}

fn message(result: Result<Value, Error>) -> String {
    result.expect_err("refused").message
}

#[test]
fn a_range_is_used_up_and_then_full() {
    let mut cluster = v4();
    for _ in 0..13 {
        cluster.create(json!({})).expect("there is room");
    }
    let held: Vec<String> = cluster.held().into_keys().collect();
    let mut expected: Vec<String> = (2..15).map(|n| format!("ip/10.96.0.{n}")).collect();
    expected.sort_unstable();
    assert_eq!(held, expected);
    let error = cluster.create(json!({})).expect_err("full");
    assert_eq!(error.reason, Reason::Internal);
    assert_eq!(
        error.message,
        "Internal error occurred: failed to allocate a serviceIP: range is full"
    );
    // The first address is had by asking only.
    cluster
        .create(json!({"clusterIP": "10.96.0.1"}))
        .expect("it is free");
    cluster.delete(4);
    cluster.create(json!({})).expect("one was given back");
}

#[test]
fn what_was_given_back_rests_while_there_is_other() {
    let mut cluster = v4();
    for _ in 0..5 {
        let last = cluster.services.len();
        cluster.create(json!({})).expect("there is room");
        cluster.delete(last);
    }
    assert_eq!(cluster.released.len(), 5);
    for at in 5..18 {
        let before = cluster.released.clone();
        let made = cluster.create(json!({})).expect("there is room");
        let again = before.contains(&claims(&made)[0]);
        assert_eq!(again, at >= 13, "the {at}th of 13");
    }
}

#[test]
fn the_lower_part_is_kept_for_those_that_ask() {
    let mut cluster = Cluster::new(&["10.96.0.0/24"], 30000..=32767);
    for _ in 0..50 {
        let made = cluster
            .create(json!({"type": "NodePort"}))
            .expect("there is room");
        let ip: IpAddr = made["spec"]["clusterIP"]
            .as_str()
            .and_then(|ip| ip.parse().ok())
            .expect("an address");
        let IpAddr::V4(ip) = ip else {
            panic!("{ip} is of the wrong family");
        };
        assert!(ip.octets()[3] > 16, "{ip}");
        let port = made["spec"]["ports"][0]["nodePort"].as_i64();
        assert!(port >= Some(30085), "{port:?}");
    }
}

#[test]
fn node_ports_are_used_up_and_then_full() {
    let mut cluster = v4();
    for _ in 0..4 {
        cluster
            .create(json!({"type": "NodePort"}))
            .expect("there is room");
    }
    assert_eq!(
        message(cluster.create(json!({"type": "NodePort"}))),
        "Internal error occurred: failed to allocate a nodePort: range is full"
    );
    cluster.create(json!({})).expect("it needs no port");
    // Leaving the type gives the port back, and nothing else.
    let old = claims(cluster.services[0].as_ref().expect("a service"));
    let new = cluster
        .update(0, |spec| spec["type"] = json!("ClusterIP"))
        .expect("a valid update");
    assert_eq!(claims(&new), &old[..1]);
    cluster
        .create(json!({"type": "NodePort"}))
        .expect("one was given back");
}

#[test]
fn a_port_of_two_protocols_is_one() {
    let mut cluster = v4();
    let ports = json!([
        {"name": "a", "port": 53, "protocol": "TCP"},
        {"name": "b", "port": 53, "protocol": "UDP"},
        {"name": "c", "port": 54},
    ]);
    let made = cluster
        .create(json!({"type": "NodePort", "ports": ports}))
        .expect("there is room");
    let port = |i: usize| made["spec"]["ports"][i]["nodePort"].clone();
    assert_eq!(port(0), port(1));
    assert_ne!(port(0), port(2));
    assert_eq!(claims(&made).len(), 3);
    // Nobody else has it, for any protocol.
    let other = json!([{"port": 53, "protocol": "SCTP", "nodePort": port(0)}]);
    let found = message(cluster.create(json!({"type": "NodePort", "ports": other})));
    assert_eq!(
        found,
        format!(
            "Service \"t\" is invalid: spec.ports[0].nodePort: Invalid value: {}: provided port is already allocated",
            port(0)
        )
    );
}

#[test]
fn ports_of_an_update_are_those_of_before() {
    let mut cluster = v4();
    let made = cluster
        .create(json!({"type": "NodePort", "ports": [{"name": "a", "port": 1}, {"name": "b", "port": 2}]}))
        .expect("there is room");
    let new = cluster
        .update(0, |spec| {
            spec["ports"] = json!([{"name": "b", "port": 3}, {"name": "c", "port": 4}]);
        })
        .expect("a valid update");
    assert_eq!(
        new["spec"]["ports"][0]["nodePort"],
        made["spec"]["ports"][1]["nodePort"]
    );
    assert_ne!(
        new["spec"]["ports"][1]["nodePort"],
        made["spec"]["ports"][0]["nodePort"]
    );
}

#[test]
fn a_health_check_has_a_port() {
    let mut cluster = v4();
    let made = cluster
        .create(json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30002}))
        .expect("there is room");
    assert!(claims(&made).contains(&"port/30002".to_owned()));
    assert_eq!(
        message(cluster.create(
            json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30002}),
        )),
        "Internal error occurred: failed to allocate requested HealthCheck NodePort 30002: provided port is already allocated"
    );
    let new = cluster
        .update(0, |spec| spec["externalTrafficPolicy"] = json!("Cluster"))
        .expect("a valid update");
    assert_eq!(claims(&new).len(), 2);
    let made = cluster
        .create(json!({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false}))
        .expect("there is room");
    assert_eq!(claims(&made).len(), 1);
}

#[test]
fn both_families() {
    let mut cluster = dual();
    let made = cluster.create(json!({})).expect("there is room");
    assert_eq!(made["spec"]["ipFamilies"], json!(["IPv4"]));
    for policy in ["PreferDualStack", "RequireDualStack"] {
        let made = cluster
            .create(json!({"ipFamilyPolicy": policy}))
            .expect("there is room");
        assert_eq!(made["spec"]["ipFamilies"], json!(["IPv4", "IPv6"]));
        assert_eq!(claims(&made).len(), 2);
    }
    let made = cluster
        .create(json!({"ipFamilies": ["IPv6"]}))
        .expect("there is room");
    assert!(claims(&made)[0].starts_with("ip/fd00::"));
    cluster = dual();
    let made = cluster
        .create(json!({"clusterIPs": ["fd00::3", "10.96.0.9"], "clusterIP": "fd00::3", "ipFamilyPolicy": "PreferDualStack"}))
        .expect("there is room");
    assert_eq!(made["spec"]["ipFamilies"], json!(["IPv6", "IPv4"]));
    assert_eq!(
        message(
            cluster
                .create(json!({"ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "SingleStack"}))
        ),
        "Service \"t\" is invalid: spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified"
    );
    let mut single = v4();
    let made = single
        .create(json!({"ipFamilyPolicy": "PreferDualStack"}))
        .expect("one family will do");
    assert_eq!(made["spec"]["ipFamilies"], json!(["IPv4"]));
    assert_eq!(
        message(single.create(json!({"ipFamilies": ["IPv6"]}))),
        "Service \"t\" is invalid: spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster"
    );
}

#[test]
fn the_second_family_comes_and_goes() {
    let mut cluster = dual();
    let made = cluster.create(json!({})).expect("there is room");
    let both = cluster
        .update(0, |spec| spec["ipFamilyPolicy"] = json!("RequireDualStack"))
        .expect("a valid update");
    assert_eq!(both["spec"]["ipFamilies"], json!(["IPv4", "IPv6"]));
    assert_eq!(both["spec"]["clusterIPs"][0], made["spec"]["clusterIP"]);
    assert_eq!(claims(&both).len(), 2);
    assert_eq!(
        message(cluster.update(0, |spec| {
            let first = spec["clusterIP"].clone();
            merge(spec, json!({"clusterIPs": [first], "ipFamilies": ["IPv4"]}));
        })),
        "Service \"t\" is invalid: [spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": must be 'SingleStack' to release the secondary cluster IP, spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": must be 'SingleStack' to release the secondary IP family]"
    );
    let one = cluster
        .update(0, |spec| spec["ipFamilyPolicy"] = json!("SingleStack"))
        .expect("a valid update");
    assert_eq!(one["spec"], made["spec"]);
}

#[test]
fn networks_that_cannot_be() {
    let check = |cidrs: &[&str]| {
        ServiceNetwork {
            cidrs: cidrs.iter().map(|c| c.parse().expect("a range")).collect(),
            node_ports: 30000..=32767,
        }
        .check()
    };
    assert_eq!(check(&["10.96.0.0/16"]), Ok(()));
    assert_eq!(check(&["fd00::/112", "10.0.0.0/8"]), Ok(()));
    for bad in [
        &[][..],
        &["10.96.0.0/31"],
        &["10.0.0.0/7"],
        &["fd00::/48"],
        &["10.96.0.0/16", "10.97.0.0/16"],
        &["10.96.0.0/16", "fd00::/112", "fd01::/112"],
    ] {
        assert!(check(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_full_range_of_ipv6_is_given_up() {
    let network = ServiceNetwork {
        cidrs: vec!["fd00::/64".parse().expect("a range")],
        node_ports: 30000..=32767,
    };
    let error = allocate(
        &mut service(json!({})),
        None,
        &network,
        &|_| true,
        &|_| false,
        1,
    )
    .expect_err("nothing is free");
    assert_eq!(error.reason, Reason::Internal);
}

/// What may be done to a cluster.
#[derive(Clone, Debug)]
enum Step {
    Create(Value),
    Update(usize, Value),
    Delete(usize),
    /// Time passes: what was given back is as free as any other.
    Forget,
}

fn spec() -> impl Strategy<Value = Value> {
    let kind = prop::sample::select(vec![
        "ClusterIP",
        "NodePort",
        "LoadBalancer",
        "ExternalName",
    ]);
    let policy = prop::sample::select(vec![
        Value::Null,
        json!("SingleStack"),
        json!("PreferDualStack"),
        json!("RequireDualStack"),
    ]);
    let ip = prop_oneof![
        6 => Just(Value::Null),
        2 => (0..18u8).prop_map(|n| json!(format!("10.96.0.{n}"))),
        1 => Just(json!("None")),
        1 => Just(json!("fd00::3")),
    ];
    let port = prop_oneof![3 => Just(Value::Null), 1 => (29999..30009).prop_map(Value::from)];
    let traffic = prop::sample::select(vec![Value::Null, json!("Local"), json!("Cluster")]);
    (kind, policy, ip, port.clone(), port, traffic).prop_map(
        |(kind, policy, ip, port, other, traffic)| {
            let external = kind == "ExternalName";
            let mut spec = json!({
                "type": kind,
                "ipFamilyPolicy": policy,
                "clusterIP": ip,
                "clusterIPs": null,
                "ports": [
                    {"name": "a", "port": 1, "nodePort": port},
                    {"name": "b", "port": 1, "protocol": "UDP", "nodePort": other},
                ],
                "externalTrafficPolicy": if kind == "ClusterIP" || external { Value::Null } else { traffic },
            });
            if external {
                merge(&mut spec, json!({"externalName": "a.b", "ports": null}));
            }
            if kind == "ClusterIP" || external {
                for port in spec["ports"].as_array_mut().into_iter().flatten() {
                    merge(port, json!({"nodePort": null}));
                }
            }
            spec
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => spec().prop_map(Step::Create),
        4 => (any::<prop::sample::Index>(), spec()).prop_map(|(at, spec)| Step::Update(at.index(64), spec)),
        2 => (0..64usize).prop_map(Step::Delete),
        1 => Just(Step::Forget),
    ]
}

proptest! {
    #[test]
    fn nothing_is_held_twice(both in any::<bool>(), steps in prop::collection::vec(step(), 1..60)) {
        let mut cluster = if both { dual() } else { v4() };
        for step in steps {
            let count = cluster.services.len();
            let result = match step {
                Step::Create(spec) => cluster.create(spec),
                Step::Update(at, spec) => {
                    let Some(at) = (0..count).cycle().skip(at).take(count).find(|at| cluster.services[*at].is_some()) else {
                        continue;
                    };
                    cluster.update(at, |old| merge(old, spec))
                }
                Step::Delete(at) => {
                    if at < count {
                        cluster.delete(at);
                    }
                    continue;
                }
                Step::Forget => {
                    cluster.released.clear();
                    continue;
                }
            };
            // Only a full range is a reason to give nothing.
            if let Err(error) = result
                && error.reason == Reason::Internal
                && error.message.ends_with("range is full")
            {
                let held = cluster.held();
                let used = |prefix: &str| held.keys().filter(|claim| claim.starts_with(prefix)).count();
                let ports = cluster.network.node_ports.len();
                prop_assert!(
                    used("ip/10.") >= 13 || used("ip/fd00") >= 14 || used("port/") + 2 >= ports,
                    "{}: {held:?}", error.message
                );
            }
        }
    }

    #[test]
    fn any_range_gives_what_is_in_it(prefix in 8..=30u8, base in any::<u32>(), six in any::<bool>(), long in 64..=126u8, seed in any::<u64>()) {
        let cidr: IpNet = if six {
            let base = u128::from(base) << 96;
            ipnet::Ipv6Net::new(base.into(), long).expect("a prefix").trunc().into()
        } else {
            ipnet::Ipv4Net::new(base.into(), prefix).expect("a prefix").trunc().into()
        };
        let network = ServiceNetwork { cidrs: vec![cidr], node_ports: 1..=1 };
        let mut made = service(json!({}));
        allocate(&mut made, None, &network, &|_| false, &|_| false, seed).expect("it is empty");
        let ip: IpAddr = made["spec"]["clusterIP"].as_str().and_then(|ip| ip.parse().ok()).expect("an address");
        prop_assert!(cidr.contains(&ip));
        prop_assert_ne!(ip, cidr.network());
        if !six {
            prop_assert_ne!(ip, cidr.broadcast());
        }
        // The very first is nobody's unless asked for.
        prop_assert_ne!(Some(ip), cidr.hosts().find(|host| *host != cidr.network()));
        // The same seed gives the same address.
        let mut again = service(json!({}));
        allocate(&mut again, None, &network, &|_| false, &|_| false, seed).expect("it is empty");
        prop_assert_eq!(made, again);
    }
}
