//! Kubernetes JSON of resource messages.

use k8shost_proto::v1::Pod;

#[test]
fn reads_and_writes_a_pod() {
    let text = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"creationTimestamp":"2024-01-01T00:00:00Z","name":"a"},"spec":{"containers":[{"image":"","livenessProbe":{"httpGet":{"port":80}},"name":"c","resources":{"limits":{"cpu":"2"}}}],"volumes":[{"emptyDir":{},"name":"v"}]}}"#;
    let pod: Pod = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&pod).unwrap(), text);
}
