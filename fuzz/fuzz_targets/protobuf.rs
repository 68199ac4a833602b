//! Messages: what is read can be written, and is read again as the same.
#![no_main]

use k8shost_types::protobuf;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Ok(object) = protobuf::decode(body, Some(("v1", "Pod"))) {
        let message = protobuf::encode(&object).expect("what was read can be written");
        let again = protobuf::decode(&message, None).expect("what was written can be read");
        assert_eq!(again, object);
    }
});
