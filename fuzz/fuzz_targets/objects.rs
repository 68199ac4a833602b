//! Bodies as JSON and as YAML: whatever is read is defaulted and judged, and none of that panics.
#![no_main]

use std::time::SystemTime;

use k8shost_types::{
    decode::{self, Expected, FieldValidation, Format},
    pod, schema,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let Some(schema) = schema::builtin().of("", "v1", "Pod") else {
        return;
    };
    let expected = Expected {
        group: "",
        version: "v1",
        kind: "Pod",
        schema,
    };
    for format in [Format::Json, Format::Yaml] {
        let read = decode::object(body, format, &expected, FieldValidation::Warn);
        if let Ok(mut read) = read {
            let _ =
                pod::STRATEGY.before_create(&mut read.object, "u", SystemTime::UNIX_EPOCH, "xxxxx");
        }
    }
});
