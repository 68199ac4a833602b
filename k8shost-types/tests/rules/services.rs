//! Services: defaults, what is refused, and what an update may change.

use k8shost_types::{
    Error, Reason,
    addresses::{self, ServiceNetwork},
    service::STRATEGY,
};
use serde_json::{Value, json};

use crate::common::{UID, faults, merge, now, service};

/// A create as the server does it: addresses first.
fn create(mut service: Value, in_use: &[&str]) -> Result<Value, Error> {
    let network = ServiceNetwork::default();
    let taken = |claim: &str| in_use.contains(&claim);
    addresses::allocate(&mut service, None, &network, &taken, &|_| false, 7)?;
    STRATEGY.before_create(&mut service, UID, now(), "x7k2q")?;
    Ok(service)
}

fn stored(service: Value) -> Value {
    let mut service = create(service, &[]).expect("a valid service");
    service["metadata"]["resourceVersion"] = json!("5");
    service
}

fn update(old: &Value, change: impl FnOnce(&mut Value)) -> Result<Value, Error> {
    let network = ServiceNetwork::default();
    let mut new = old.clone();
    change(&mut new);
    let held = addresses::claims(old);
    let taken = |claim: &str| held.iter().any(|held| held == claim);
    addresses::allocate(&mut new, Some(old), &network, &taken, &|_| false, 7)?;
    STRATEGY.before_update(&mut new, old)?;
    Ok(new)
}

fn refused(service: Value) -> Vec<String> {
    faults(create(service, &[]))
}

#[test]
fn defaults_of_a_plain_service() {
    let made = create(service(json!({"clusterIP": "10.96.7.7"})), &[]).expect("a valid service");
    assert_eq!(
        made,
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": "t",
                "namespace": "default",
                "uid": UID,
                "creationTimestamp": "2026-01-01T00:00:00Z",
            },
            "spec": {
                "clusterIP": "10.96.7.7",
                "clusterIPs": ["10.96.7.7"],
                "internalTrafficPolicy": "Cluster",
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
                "selector": {"a": "b"},
                "sessionAffinity": "None",
                "type": "ClusterIP",
            },
            "status": {"loadBalancer": {}},
        })
    );
}

#[test]
fn defaults_that_go_with_the_type() {
    let made = stored(service(json!({"type": "NodePort"})));
    assert_eq!(made["spec"]["externalTrafficPolicy"], "Cluster");
    assert!(made["spec"]["ports"][0]["nodePort"].as_i64() >= Some(30000));
    let made = stored(service(
        json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "sessionAffinity": "ClientIP"}),
    ));
    assert_eq!(made["spec"]["allocateLoadBalancerNodePorts"], true);
    assert!(made["spec"]["healthCheckNodePort"].as_i64() >= Some(30000));
    assert_eq!(
        made["spec"]["sessionAffinityConfig"],
        json!({"clientIP": {"timeoutSeconds": 10800}})
    );
    let made = stored(service(
        json!({"clusterIP": "None", "ports": null, "selector": null}),
    ));
    assert_eq!(made["spec"]["ipFamilyPolicy"], "RequireDualStack");
    assert_eq!(made["spec"]["ipFamilies"], json!(["IPv4", "IPv6"]));
    let made = stored(service(
        json!({"type": "ExternalName", "externalName": "db.example.com.", "ports": null, "selector": null}),
    ));
    assert_eq!(
        made["spec"],
        json!({"externalName": "db.example.com.", "sessionAffinity": "None", "type": "ExternalName"})
    );
}

#[test]
fn addresses_that_cannot_be_had() {
    let of = |ip: &str| service(json!({"clusterIP": ip}));
    assert_eq!(
        faults(create(of("10.96.7.7"), &["ip/10.96.7.7"])),
        [
            "spec.clusterIPs: Invalid value: [\"10.96.7.7\"]: failed to allocate IP 10.96.7.7: provided IP is already allocated"
        ]
    );
    assert_eq!(
        refused(of("1.2.3.4")),
        [
            "spec.clusterIPs: Invalid value: [\"1.2.3.4\"]: failed to allocate IP 1.2.3.4: the provided network does not match the current range"
        ]
    );
    assert_eq!(
        refused(of("10.96.255.255")),
        [
            "spec.clusterIPs: Invalid value: [\"10.96.255.255\"]: failed to allocate IP 10.96.255.255: the provided IP (10.96.255.255) is not in the valid range. The range of valid IPs is 10.96.0.0/16"
        ]
    );
    assert_eq!(
        refused(of("x")),
        [
            "spec.clusterIPs[0]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        ]
    );
    assert_eq!(
        refused(service(json!({"ipFamilyPolicy": "RequireDualStack"}))),
        [
            "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack services"
        ]
    );
    assert_eq!(
        refused(service(
            json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]})
        )),
        [
            "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767"
        ]
    );
}

#[test]
fn ports() {
    assert_eq!(
        refused(service(json!({"ports": null}))),
        ["spec.ports: Required value"]
    );
    assert_eq!(
        refused(service(json!({"ports": [{"port": 0}]}))),
        [
            "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
        ]
    );
    assert_eq!(
        refused(service(json!({"ports": [{"port": 1}, {"port": 2}]}))),
        [
            "spec.ports[0].name: Required value",
            "spec.ports[1].name: Required value",
        ]
    );
    assert_eq!(
        refused(service(
            json!({"ports": [{"port": 1, "name": "a"}, {"port": 1, "name": "a", "protocol": "X"}, {"port": 1, "name": "b"}]})
        )),
        [
            "spec.ports[1].name: Duplicate value: \"a\"",
            "spec.ports[1].protocol: Unsupported value: \"X\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
            "spec.ports[2]: Duplicate value: {\"Name\":\"\",\"Protocol\":\"TCP\",\"AppProtocol\":null,\"Port\":1,\"TargetPort\":0,\"NodePort\":0}",
        ]
    );
    assert_eq!(
        refused(service(
            json!({"ports": [{"port": 1, "nodePort": 30001, "targetPort": "Not_A_Port"}]})
        ))
        .len(),
        2
    );
}

#[test]
fn types_and_what_goes_with_them() {
    assert_eq!(
        refused(service(json!({"type": "Sideways"}))),
        [
            "spec.type: Unsupported value: \"Sideways\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\""
        ]
    );
    assert_eq!(
        refused(service(json!({"type": "ExternalName", "ports": null}))),
        ["spec.externalName: Required value"]
    );
    assert_eq!(
        refused(service(json!({"sessionAffinity": "x"}))),
        [
            "spec.sessionAffinity: Unsupported value: \"x\": supported values: \"ClientIP\", \"None\""
        ]
    );
    assert_eq!(
        refused(service(
            json!({"externalTrafficPolicy": "Local", "loadBalancerSourceRanges": ["10.0.0.0/8"], "loadBalancerClass": "a/b"})
        )),
        [
            "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
            "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
            "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services",
        ]
    );
    assert_eq!(
        refused(service(json!({"type": "NodePort", "clusterIP": "None"}))),
        [
            "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"
        ]
    );
    assert_eq!(
        refused(service(json!({"externalIPs": ["127.0.0.1", "no"]}))),
        [
            "spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)",
            "spec.externalIPs[1]: Invalid value: \"no\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
        ]
    );
}

#[test]
fn names_start_with_a_letter() {
    let mut named = service(json!({}));
    named["metadata"]["name"] = json!("9bad");
    let error = create(named, &[]).expect_err("not a DNS-1035 label");
    assert_eq!(error.reason, Reason::Invalid);
    assert_eq!(
        error.message,
        "Service \"9bad\" is invalid: metadata.name: Invalid value: \"9bad\": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
    );
}

#[test]
fn the_address_stays() {
    let old = stored(service(json!({"clusterIP": "10.96.7.7"})));
    let found = faults(update(&old, |new| {
        new["spec"]["clusterIP"] = json!("10.96.7.8");
    }));
    assert_eq!(
        found,
        ["spec.clusterIPs[0]: Invalid value: [\"10.96.7.8\"]: may not change once set"]
    );
    // What an update leaves out is kept.
    let new = update(&old, |new| {
        merge(
            &mut new["spec"],
            json!({"clusterIP": null, "clusterIPs": null}),
        );
    })
    .expect("a valid update");
    assert_eq!(new, old);
}

#[test]
fn to_another_name_and_back() {
    let old = stored(service(json!({"clusterIP": "10.96.7.7"})));
    let named = update(&old, |new| {
        merge(
            &mut new["spec"],
            json!({"type": "ExternalName", "externalName": "a.b", "clusterIP": "", "clusterIPs": null}),
        );
    })
    .expect("a valid update");
    assert_eq!(addresses::claims(&named), [""; 0]);
    for field in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        assert!(named["spec"].get(field).is_none(), "{field} of {named}");
    }
    let back = update(&named, |new| {
        merge(
            &mut new["spec"],
            json!({"type": "ClusterIP", "externalName": null, "internalTrafficPolicy": null}),
        );
    })
    .expect("a valid update");
    assert_eq!(addresses::claims(&back).len(), 1);
    assert_eq!(back["spec"]["ipFamilies"], json!(["IPv4"]));
}

#[test]
fn fields_of_a_former_type_go() {
    let old = stored(service(
        json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "loadBalancerClass": "a.b/c"}),
    ));
    let new = update(&old, |new| new["spec"]["type"] = json!("ClusterIP")).expect("a valid update");
    for field in [
        "allocateLoadBalancerNodePorts",
        "loadBalancerClass",
        "externalTrafficPolicy",
        "healthCheckNodePort",
    ] {
        assert!(new["spec"].get(field).is_none(), "{field} of {new}");
    }
    assert!(new["spec"]["ports"][0].get("nodePort").is_none());
    let found = faults(update(&old, |new| {
        new["spec"]["loadBalancerClass"] = json!("x.y/z");
    }));
    assert_eq!(
        found,
        ["spec.loadBalancerClass: Invalid value: \"x.y/z\": may not change once set"]
    );
}

#[test]
fn status_is_written_apart() {
    let old = stored(service(json!({"type": "LoadBalancer"})));
    let ingress = json!({"loadBalancer": {"ingress": [{"ip": "9.9.9.9"}]}});
    let mut new = old.clone();
    merge(
        &mut new,
        json!({"status": ingress, "spec": {"type": "LoadBalancer"}}),
    );
    STRATEGY
        .before_status_update(&mut new, &old)
        .expect("a valid status");
    assert_eq!(new["spec"], old["spec"]);
    assert_eq!(
        new["status"],
        json!({"loadBalancer": {"ingress": [{"ip": "9.9.9.9", "ipMode": "VIP"}]}})
    );
    // An update of the rest does not touch it.
    let updated = update(&new, |new| {
        new["status"] = json!({});
        new["metadata"]["labels"] = json!({"a": "b"});
    })
    .expect("a valid update");
    assert_eq!(updated["status"], new["status"]);
    let mut bad = old.clone();
    bad["status"] = json!({"loadBalancer": {"ingress": [{"ip": "x"}, {"ipMode": "VIP", "hostname": "1.2.3.4"}]}});
    let error = STRATEGY
        .before_status_update(&mut bad, &old)
        .expect_err("no address");
    let found: Vec<String> = error.fields.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "status.loadBalancer.ingress[0].ip: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            "status.loadBalancer.ingress[1].ipMode: Forbidden: may not be specified when `ip` is not set",
            "status.loadBalancer.ingress[1].hostname: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP address",
        ]
    );
}
