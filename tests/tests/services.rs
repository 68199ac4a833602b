//! Services: their addresses and ports, and the rest of what Kubernetes does to them.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
};

use futures::future::join_all;
use k8shost_tests::{
    Client, NAMESPACE, SERVICE, Server, merge, namespace, reason, refused, service, text,
    violations,
};
use serde_json::{Value, json};
use tonic::{Code, Status};

fn with(name: &str, spec: Value) -> Value {
    merge(service(name), json!({ "spec": spec }))
}

async fn create(client: &Client, name: &str, spec: Value) -> Result<Value, Status> {
    client.create(SERVICE, with(name, spec)).await
}

fn ip(service: &Value) -> &str {
    text(service, "/spec/clusterIP")
}

fn port(service: &Value) -> i64 {
    service["spec"]["ports"][0]["nodePort"]
        .as_i64()
        .unwrap_or_default()
}

#[tokio::test]
async fn a_new_service_has_an_address_and_what_kubernetes_fills_in() {
    let server = Server::start().await;
    let client = server.client().await;
    let made = create(&client, "web", json!({})).await.unwrap();
    let address: Ipv4Addr = ip(&made).parse().unwrap();
    assert_eq!(address.octets()[..2], [10, 96]);
    let spec = &made["spec"];
    assert_eq!(spec["clusterIPs"], json!([ip(&made)]));
    assert_eq!(spec["type"], "ClusterIP");
    assert_eq!(spec["sessionAffinity"], "None");
    assert_eq!(spec["ipFamilies"], json!(["IPv4"]));
    assert_eq!(spec["ipFamilyPolicy"], "SingleStack");
    assert_eq!(spec["internalTrafficPolicy"], "Cluster");
    assert_eq!(
        spec["ports"],
        json!([{"port": 80, "protocol": "TCP", "targetPort": 80.0}])
    );
    assert_eq!(made["status"], json!({"loadBalancer": {}}));
    assert_eq!(client.get(SERVICE, "", "web").await.unwrap(), made);
}

#[tokio::test]
async fn addresses_are_unique_under_races() {
    let server = Server::with(&["--service-cidrs", "10.7.0.0/26"]).await;
    let client = server.client().await;
    // 64 addresses, of which the first two and the last are not for services.
    let creates = (0..70).map(|n| {
        let client = client.clone();
        async move { create(&client, &format!("s{n}"), json!({})).await }
    });
    let (made, refusals): (Vec<_>, Vec<_>) =
        join_all(creates).await.into_iter().partition(Result::is_ok);
    let addresses: BTreeSet<String> = made.iter().flatten().map(|s| ip(s).to_owned()).collect();
    assert_eq!(addresses.len(), made.len(), "no address twice");
    assert_eq!(made.len(), 61, "all of the range is used");
    for refusal in refusals {
        let status = refusal.unwrap_err();
        assert_eq!(status.code(), Code::Internal, "{status}");
        assert!(
            status.message().contains("range is full"),
            "{}",
            status.message()
        );
    }
}

#[tokio::test]
async fn a_full_range_is_a_clear_error_and_a_delete_makes_room() {
    let server = Server::with(&["--service-cidrs", "10.7.0.0/29"]).await;
    let client = server.client().await;
    let mut addresses = BTreeSet::new();
    for n in 0..5 {
        let made = create(&client, &format!("s{n}"), json!({})).await.unwrap();
        assert!(addresses.insert(ip(&made).to_owned()));
    }
    let status = create(&client, "more", json!({})).await.unwrap_err();
    assert!(
        status.message().contains("failed to allocate"),
        "{}",
        status.message()
    );
    refused(client.get(SERVICE, "", "more").await, Code::NotFound);
    // What needs no address is not refused.
    create(&client, "headless", json!({"clusterIP": "None"}))
        .await
        .unwrap();
    client.delete(SERVICE, "", "s3").await.unwrap();
    let made = create(&client, "more", json!({})).await.unwrap();
    assert!(addresses.contains(ip(&made)));
}

#[tokio::test]
async fn an_address_that_is_asked_for_is_given_or_refused() {
    let server = Server::start().await;
    let client = server.client().await;
    let made = create(&client, "a", json!({"clusterIP": "10.96.7.7"}))
        .await
        .unwrap();
    assert_eq!(ip(&made), "10.96.7.7");
    let both = json!({"clusterIP": "10.96.8.8", "clusterIPs": ["10.96.8.8"]});
    assert_eq!(ip(&create(&client, "b", both).await.unwrap()), "10.96.8.8");
    let one = json!({"clusterIPs": ["10.96.9.9"]});
    let status = refused(create(&client, "c", one).await, Code::InvalidArgument);
    assert!(
        status
            .message()
            .contains("must be empty when `clusterIP` is not"),
        "{status}"
    );
    for (address, words) in [
        ("10.96.7.7", "provided IP is already allocated"),
        ("1.2.3.4", "does not match the current range"),
        ("fd00::1", ""),
        ("nonsense", "must be a valid IP address"),
    ] {
        let status = refused(
            create(&client, "t", json!({"clusterIP": address})).await,
            Code::InvalidArgument,
        );
        assert!(
            violations(&status)
                .iter()
                .any(|f| f.starts_with("spec.clusterIPs")),
            "{status:?}"
        );
        assert!(status.message().contains(words), "{}", status.message());
    }
    // Another namespace shares the range, another tenant does not.
    client.create(NAMESPACE, namespace("team")).await.unwrap();
    let elsewhere = merge(
        with("a", json!({"clusterIP": "10.96.7.7"})),
        json!({"metadata": {"namespace": "team"}}),
    );
    refused(
        client.create(SERVICE, elsewhere).await,
        Code::InvalidArgument,
    );
    let tenant = client.make_tenant("acme", "web").await;
    assert_eq!(
        ip(&create(&tenant, "a", json!({"clusterIP": "10.96.7.7"}))
            .await
            .unwrap()),
        "10.96.7.7"
    );
}

#[tokio::test]
async fn an_address_is_freed_by_delete_and_stays_with_an_update() {
    let mut server = Server::start().await;
    let client = server.client().await;
    let made = create(&client, "a", json!({"clusterIP": "10.96.7.7"}))
        .await
        .unwrap();
    let wide = merge(
        made.clone(),
        json!({"spec": {"ports": [{"port": 81}], "clusterIP": null, "clusterIPs": null}}),
    );
    let updated = client.update(SERVICE, wide).await.unwrap();
    assert_eq!(ip(&updated), "10.96.7.7");
    assert_eq!(updated["spec"]["ports"][0]["port"], 81);
    let moved = merge(
        updated,
        json!({"spec": {"clusterIP": "10.96.7.8", "clusterIPs": ["10.96.7.8"]}}),
    );
    let status = refused(client.update(SERVICE, moved).await, Code::InvalidArgument);
    assert!(
        status.message().contains("may not change once set"),
        "{}",
        status.message()
    );

    server.restart().await;
    let client = server.client().await;
    refused(
        create(&client, "b", json!({"clusterIP": "10.96.7.7"})).await,
        Code::InvalidArgument,
    );
    client.delete(SERVICE, "", "a").await.unwrap();
    assert_eq!(
        ip(&create(&client, "b", json!({"clusterIP": "10.96.7.7"}))
            .await
            .unwrap()),
        "10.96.7.7"
    );
}

#[tokio::test]
async fn a_freed_address_is_not_handed_out_again_at_once() {
    let server = Server::start().await;
    let client = server.client().await;
    let mut seen = BTreeSet::new();
    for n in 0..50 {
        let made = create(&client, &format!("s{n}"), json!({})).await.unwrap();
        assert!(seen.insert(ip(&made).to_owned()), "{} again", ip(&made));
        client.delete(SERVICE, "", &format!("s{n}")).await.unwrap();
    }
}

#[tokio::test]
async fn a_headless_service_and_an_external_name_have_no_address() {
    let server = Server::start().await;
    let client = server.client().await;
    let headless = create(&client, "h", json!({"clusterIP": "None"}))
        .await
        .unwrap();
    assert_eq!(headless["spec"]["clusterIPs"], json!(["None"]));
    assert_eq!(headless["spec"]["ipFamilies"], json!(["IPv4"]));
    let external = json!({"type": "ExternalName", "externalName": "example.com", "ports": null});
    let external = create(&client, "e", external).await.unwrap();
    let spec = external["spec"].as_object().unwrap();
    assert!(
        !spec.contains_key("clusterIP") && !spec.contains_key("clusterIPs"),
        "{spec:?}"
    );
    let status = refused(
        create(&client, "e2", json!({"type": "ExternalName"})).await,
        Code::InvalidArgument,
    );
    assert!(
        violations(&status).contains(&"spec.externalName".to_owned()),
        "{status:?}"
    );

    // Changing the type gives and takes the address.
    let inside = merge(
        external,
        json!({"spec": {"type": "ClusterIP", "externalName": null, "ports": [{"port": 80}]}}),
    );
    let inside = client.update(SERVICE, inside).await.unwrap();
    assert!(ip(&inside).starts_with("10.96."), "{inside}");
    let address = ip(&inside).to_owned();
    let outside = merge(
        inside,
        json!({"spec": {"type": "ExternalName", "externalName": "example.com", "clusterIP": null, "clusterIPs": null, "ipFamilies": null, "ipFamilyPolicy": null}}),
    );
    let outside = client.update(SERVICE, outside).await.unwrap();
    assert_eq!(ip(&outside), "");
    create(&client, "now", json!({"clusterIP": address}))
        .await
        .unwrap();
}

#[tokio::test]
async fn dual_stack_gives_an_address_of_each_family() {
    let server = Server::with(&["--service-cidrs", "10.96.0.0/16,fd00:96::/108"]).await;
    let client = server.client().await;
    let families = |service: &Value| -> Vec<bool> {
        let addresses = service["spec"]["clusterIPs"]
            .as_array()
            .expect("clusterIPs")
            .clone();
        addresses
            .iter()
            .map(|a| a.as_str().unwrap().parse::<IpAddr>().unwrap().is_ipv4())
            .collect()
    };
    let single = create(&client, "single", json!({})).await.unwrap();
    assert_eq!(families(&single), [true]);
    for policy in ["PreferDualStack", "RequireDualStack"] {
        let made = create(
            &client,
            &policy.to_lowercase(),
            json!({"ipFamilyPolicy": policy}),
        )
        .await
        .unwrap();
        assert_eq!(families(&made), [true, false]);
        assert_eq!(made["spec"]["ipFamilies"], json!(["IPv4", "IPv6"]));
    }
    let six_first = json!({"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6", "IPv4"]});
    assert_eq!(
        families(&create(&client, "six-first", six_first).await.unwrap()),
        [false, true]
    );
    let six = create(&client, "six", json!({"ipFamilies": ["IPv6"]}))
        .await
        .unwrap();
    assert_eq!(families(&six), [false]);

    // A second family can be added to a service that has one.
    let both = merge(
        single.clone(),
        json!({"spec": {"ipFamilyPolicy": "PreferDualStack"}}),
    );
    let both = client.update(SERVICE, both).await.unwrap();
    assert_eq!(families(&both), [true, false]);
    assert_eq!(ip(&both), ip(&single));
}

#[tokio::test]
async fn a_single_stack_server_refuses_to_promise_two_families() {
    let server = Server::start().await;
    let client = server.client().await;
    let status = refused(
        create(&client, "a", json!({"ipFamilyPolicy": "RequireDualStack"})).await,
        Code::InvalidArgument,
    );
    assert!(
        violations(&status).contains(&"spec.ipFamilyPolicy".to_owned()),
        "{status:?}"
    );
    let preferred = create(&client, "b", json!({"ipFamilyPolicy": "PreferDualStack"}))
        .await
        .unwrap();
    assert_eq!(preferred["spec"]["ipFamilies"], json!(["IPv4"]));
    let six = create(&client, "c", json!({"ipFamilies": ["IPv6"]})).await;
    refused(six, Code::InvalidArgument);
}

#[tokio::test]
async fn node_ports_are_given_asked_for_and_freed() {
    let server = Server::with(&["--node-ports", "30000-30003"]).await;
    let client = server.client().await;
    let node_port =
        |wanted: i64| json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": wanted}]});
    let given = create(&client, "given", json!({"type": "NodePort"}))
        .await
        .unwrap();
    assert!((30000..=30003).contains(&port(&given)));
    assert_eq!(given["spec"]["externalTrafficPolicy"], "Cluster");
    let free = (30000..=30003).find(|p| *p != port(&given)).unwrap();
    let wanted = create(&client, "wanted", node_port(free)).await.unwrap();
    assert_eq!(port(&wanted), free);

    for (wrong, words) in [
        (free, "provided port is already allocated"),
        (80, "not in the valid range"),
        (30004, "not in the valid range"),
    ] {
        let status = refused(
            create(&client, "t", node_port(wrong)).await,
            Code::InvalidArgument,
        );
        assert!(
            violations(&status).contains(&"spec.ports[0].nodePort".to_owned()),
            "{status:?}"
        );
        assert!(status.message().contains(words), "{}", status.message());
    }
    // A port is one service's, which may use it for several protocols.
    let third = (30000..=30003)
        .find(|p| *p != port(&given) && *p != free)
        .unwrap();
    let both = json!({"type": "NodePort", "ports": [
        {"name": "tcp", "port": 53, "protocol": "TCP", "nodePort": third},
        {"name": "udp", "port": 53, "protocol": "UDP", "nodePort": third},
    ]});
    assert_eq!(port(&create(&client, "both", both).await.unwrap()), third);
    let udp =
        json!({"type": "NodePort", "ports": [{"port": 53, "protocol": "UDP", "nodePort": free}]});
    refused(create(&client, "udp", udp).await, Code::InvalidArgument);

    create(&client, "fourth", json!({"type": "LoadBalancer"}))
        .await
        .unwrap();
    let status = create(&client, "fifth", json!({"type": "NodePort"}))
        .await
        .unwrap_err();
    assert!(
        status.message().contains("range is full"),
        "{}",
        status.message()
    );
    refused(client.get(SERVICE, "", "fifth").await, Code::NotFound);

    client.delete(SERVICE, "", "wanted").await.unwrap();
    assert_eq!(
        port(&create(&client, "again", node_port(free)).await.unwrap()),
        free
    );
    // A service that is no NodePort any more frees its port.
    let inner = merge(
        given.clone(),
        json!({"spec": {"type": "ClusterIP", "externalTrafficPolicy": null, "ports": [{"port": 80}]}}),
    );
    assert_eq!(port(&client.update(SERVICE, inner).await.unwrap()), 0);
    create(&client, "freed", node_port(port(&given)))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_load_balancer_gets_ports_unless_told_otherwise() {
    let server = Server::start().await;
    let client = server.client().await;
    let made = create(&client, "a", json!({"type": "LoadBalancer"}))
        .await
        .unwrap();
    assert!((30000..=32767).contains(&port(&made)));
    assert_eq!(made["spec"]["allocateLoadBalancerNodePorts"], true);
    let without = json!({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false});
    assert_eq!(port(&create(&client, "b", without).await.unwrap()), 0);
    let local = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local"});
    let local = create(&client, "c", local).await.unwrap();
    assert!((30000..=32767).contains(&local["spec"]["healthCheckNodePort"].as_i64().unwrap()));

    let ingress = json!({"status": {"loadBalancer": {"ingress": [{"ip": "9.9.9.9"}]}}});
    let status = client
        .update_status(SERVICE, merge(made.clone(), ingress))
        .await
        .unwrap();
    assert_eq!(
        status["status"]["loadBalancer"]["ingress"][0]["ip"],
        "9.9.9.9"
    );
    assert_eq!(status["spec"], made["spec"]);
    let changed = merge(
        status.clone(),
        json!({"metadata": {"labels": {"a": "b"}}, "status": {"loadBalancer": {"ingress": null}}}),
    );
    assert_eq!(
        client.update(SERVICE, changed).await.unwrap()["status"],
        status["status"]
    );
}

#[tokio::test]
async fn an_invalid_service_is_refused_with_the_paths_of_its_faults() {
    let server = Server::start().await;
    let client = server.client().await;
    let cases = [
        (service("9bad"), "metadata.name"),
        (with("t", json!({"ports": null})), "spec.ports"),
        (
            with("t", json!({"ports": [{"port": 0}]})),
            "spec.ports[0].port",
        ),
        (
            with("t", json!({"ports": [{"port": 1}, {"port": 2}]})),
            "spec.ports[0].name",
        ),
        (
            with("t", json!({"ports": [{"port": 80, "targetPort": 70_000}]})),
            "spec.ports[0].targetPort",
        ),
        (
            with(
                "t",
                json!({"ports": [{"port": 80, "targetPort": "Not A Name"}]}),
            ),
            "spec.ports[0].targetPort",
        ),
        (with("t", json!({"type": "Sideways"})), "spec.type"),
        (
            with("t", json!({"sessionAffinity": "x"})),
            "spec.sessionAffinity",
        ),
        (
            with("t", json!({"selector": {"a b": "c"}})),
            "spec.selector",
        ),
    ];
    for (object, field) in cases {
        let status = refused(client.create(SERVICE, object).await, Code::InvalidArgument);
        assert_eq!(reason(&status), "Invalid");
        assert!(
            violations(&status).iter().any(|f| f.starts_with(field)),
            "{field}: {status:?}"
        );
    }
}
