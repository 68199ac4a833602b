//! The messages of gnostic's `OpenAPIv2.proto` and `OpenAPIv3.proto`, as far as documents have need of them: the names
//! that fields have in JSON, their numbers and types.

use serde_json::Value;

/// What a field is.
pub(super) enum Of {
    Text,
    Flag,
    /// A whole number that is not negative.
    Count,
    /// A number.
    Number,
    /// A message with the value as YAML.
    Yaml,
    /// A message with the value, if it is a scalar.
    Default,
    /// A list, each item in a field of its own.
    Many(&'static Of),
    /// Fields; and of what list of names and values all others are, if there may be others.
    Message(&'static [Field], Option<(u32, &'static Of)>),
    /// A message with one field, of this number.
    Within(u32, &'static Of),
    /// The first if the value is such, otherwise the second.
    Either(fn(&Value) -> bool, &'static Of, &'static Of),
}

pub(super) type Field = (&'static str, u32, &'static Of);

/// A map of names to something, in the field 1.
const fn map(of: &'static Of) -> Of {
    Of::Message(&[], Some((1, of)))
}

static TEXTS: Of = Of::Many(&Of::Text);
/// What a security scheme is asked for.
static REQUIREMENTS: Of = Of::Many(&REQUIREMENT);
static REQUIREMENT: Of = map(&SCOPES);
static SCOPES: Of = Of::Within(1, &TEXTS);
static YAML_LIST: Of = Of::Many(&Of::Yaml);
static REFERENCE: Of = Of::Message(&[("$ref", 1, &Of::Text)], None);

fn is_reference(value: &Value) -> bool {
    value.get("$ref").is_some()
}

fn is_in(value: &Value, place: &str) -> bool {
    value.get("in").and_then(Value::as_str) == Some(place)
}

pub(super) mod v2 {
    use super::{Of, REFERENCE, REQUIREMENTS, TEXTS, YAML_LIST, is_in, is_reference, map};

    /// The fields of the document that are written apart.
    pub(crate) const IN_PATHS: u32 = 8;
    pub(crate) const IN_SCHEMAS: u32 = 9;
    pub(crate) const IN_SECURITY: u32 = 13;

    pub(crate) static DOCUMENT: Of = Of::Message(
        &[
            ("swagger", 1, &Of::Text),
            ("info", 2, &INFO),
            ("parameters", 10, &PARAMETERS),
            ("security", 12, &REQUIREMENTS),
        ],
        None,
    );
    static INFO: Of = Of::Message(&[("title", 1, &Of::Text), ("version", 2, &Of::Text)], None);

    pub(crate) static SECURITY: Of = map(&SCHEME);
    static SCHEME: Of = Of::Within(2, &API_KEY);
    static API_KEY: Of = Of::Message(
        &[
            ("type", 1, &Of::Text),
            ("name", 2, &Of::Text),
            ("in", 3, &Of::Text),
            ("description", 4, &Of::Text),
        ],
        None,
    );

    pub(crate) static PATHS: Of = Of::Message(&[], Some((2, &PATH)));
    static PATH: Of = Of::Message(
        &[
            ("get", 2, &OPERATION),
            ("put", 3, &OPERATION),
            ("post", 4, &OPERATION),
            ("delete", 5, &OPERATION),
            ("options", 6, &OPERATION),
            ("head", 7, &OPERATION),
            ("patch", 8, &OPERATION),
            ("parameters", 9, &USED_PARAMETERS),
        ],
        None,
    );
    static OPERATION: Of = Of::Message(
        &[
            ("tags", 1, &TEXTS),
            ("operationId", 5, &Of::Text),
            ("produces", 6, &TEXTS),
            ("consumes", 7, &TEXTS),
            ("parameters", 8, &USED_PARAMETERS),
            ("responses", 9, &RESPONSES),
            ("schemes", 10, &TEXTS),
        ],
        Some((13, &Of::Yaml)),
    );
    static RESPONSES: Of = map(&RESPONSE_VALUE);
    static RESPONSE_VALUE: Of = Of::Within(1, &RESPONSE);
    static RESPONSE: Of = Of::Message(
        &[("description", 1, &Of::Text), ("schema", 2, &INNER)],
        None,
    );

    static PARAMETERS: Of = map(&PARAMETER);
    static USED_PARAMETERS: Of = Of::Many(&USED_PARAMETER);
    static USED_PARAMETER: Of = Of::Either(
        is_reference,
        &Of::Within(2, &REFERENCE),
        &Of::Within(1, &PARAMETER),
    );
    static PARAMETER: Of = Of::Either(
        |value| is_in(value, "body"),
        &Of::Within(1, &BODY),
        &Of::Within(2, &NO_BODY),
    );
    static BODY: Of = Of::Message(
        &[
            ("name", 2, &Of::Text),
            ("in", 3, &Of::Text),
            ("required", 4, &Of::Flag),
            ("schema", 5, &SCHEMA),
        ],
        None,
    );
    static NO_BODY: Of = Of::Either(
        |value| is_in(value, "path"),
        &Of::Within(4, &IN_PATH),
        &Of::Within(3, &IN_QUERY),
    );
    static IN_QUERY: Of = Of::Message(
        &[
            ("required", 1, &Of::Flag),
            ("in", 2, &Of::Text),
            ("name", 4, &Of::Text),
            ("type", 6, &Of::Text),
            ("uniqueItems", 20, &Of::Flag),
        ],
        None,
    );
    static IN_PATH: Of = Of::Message(
        &[
            ("required", 1, &Of::Flag),
            ("in", 2, &Of::Text),
            ("name", 4, &Of::Text),
            ("type", 5, &Of::Text),
            ("uniqueItems", 19, &Of::Flag),
        ],
        None,
    );

    pub(crate) static SCHEMAS: Of = map(&SCHEMA);
    static INNER: Of = Of::Within(1, &SCHEMA);
    static SCHEMA: Of = Of::Message(
        &[
            ("$ref", 1, &Of::Text),
            ("format", 2, &Of::Text),
            ("multipleOf", 6, &Of::Number),
            ("maximum", 7, &Of::Number),
            ("exclusiveMaximum", 8, &Of::Flag),
            ("minimum", 9, &Of::Number),
            ("exclusiveMinimum", 10, &Of::Flag),
            ("maxLength", 11, &Of::Count),
            ("minLength", 12, &Of::Count),
            ("pattern", 13, &Of::Text),
            ("maxItems", 14, &Of::Count),
            ("minItems", 15, &Of::Count),
            ("maxProperties", 17, &Of::Count),
            ("minProperties", 18, &Of::Count),
            ("required", 19, &TEXTS),
            ("enum", 20, &YAML_LIST),
            ("additionalProperties", 21, &INNER),
            ("type", 22, &Of::Within(1, &Of::Text)),
            ("items", 23, &INNER),
            ("properties", 25, &SCHEMAS),
        ],
        Some((31, &Of::Yaml)),
    );
}

pub(super) mod v3 {
    use super::{Of, REFERENCE, TEXTS, YAML_LIST, is_reference, map};

    /// The fields of the document that are written apart, and those of its components.
    pub(crate) const IN_PATHS: u32 = 4;
    pub(crate) const IN_COMPONENTS: u32 = 5;
    pub(crate) const IN_SCHEMAS: u32 = 1;
    pub(crate) const IN_SECURITY: u32 = 7;

    pub(crate) static DOCUMENT: Of =
        Of::Message(&[("openapi", 1, &Of::Text), ("info", 2, &INFO)], None);
    static INFO: Of = Of::Message(&[("title", 1, &Of::Text), ("version", 6, &Of::Text)], None);

    pub(crate) static SECURITY: Of = map(&SCHEME_OR_REFERENCE);
    static SCHEME_OR_REFERENCE: Of = Of::Within(1, &SCHEME);
    static SCHEME: Of = Of::Message(
        &[
            ("type", 1, &Of::Text),
            ("description", 2, &Of::Text),
            ("name", 3, &Of::Text),
            ("in", 4, &Of::Text),
        ],
        None,
    );

    pub(crate) static PATHS: Of = map(&PATH);
    static PATH: Of = Of::Message(
        &[
            ("get", 4, &OPERATION),
            ("put", 5, &OPERATION),
            ("post", 6, &OPERATION),
            ("delete", 7, &OPERATION),
            ("options", 8, &OPERATION),
            ("head", 9, &OPERATION),
            ("patch", 10, &OPERATION),
            ("parameters", 13, &PARAMETERS),
        ],
        None,
    );
    static OPERATION: Of = Of::Message(
        &[
            ("tags", 1, &TEXTS),
            ("operationId", 5, &Of::Text),
            ("parameters", 6, &PARAMETERS),
            ("requestBody", 7, &Of::Within(1, &REQUEST_BODY)),
            ("responses", 8, &RESPONSES),
        ],
        Some((13, &Of::Yaml)),
    );
    static PARAMETERS: Of = Of::Many(&PARAMETER_OR_REFERENCE);
    static PARAMETER_OR_REFERENCE: Of = Of::Within(1, &PARAMETER);
    static PARAMETER: Of = Of::Message(
        &[
            ("name", 1, &Of::Text),
            ("in", 2, &Of::Text),
            ("required", 4, &Of::Flag),
            ("schema", 10, &SCHEMA_OR_REFERENCE),
        ],
        None,
    );
    static REQUEST_BODY: Of = Of::Message(
        &[("content", 2, &MEDIA_TYPES), ("required", 3, &Of::Flag)],
        None,
    );
    static MEDIA_TYPES: Of = map(&MEDIA_TYPE);
    static MEDIA_TYPE: Of = Of::Message(&[("schema", 1, &SCHEMA_OR_REFERENCE)], None);
    static RESPONSES: Of = Of::Message(&[], Some((2, &RESPONSE_OR_REFERENCE)));
    static RESPONSE_OR_REFERENCE: Of = Of::Within(1, &RESPONSE);
    static RESPONSE: Of = Of::Message(
        &[("description", 1, &Of::Text), ("content", 3, &MEDIA_TYPES)],
        None,
    );

    pub(crate) static SCHEMAS: Of = map(&SCHEMA_OR_REFERENCE);
    static LIST_OF_SCHEMAS: Of = Of::Many(&SCHEMA_OR_REFERENCE);
    static SCHEMA_OR_REFERENCE: Of = Of::Either(
        is_reference,
        &Of::Within(2, &REFERENCE),
        &Of::Within(1, &SCHEMA),
    );
    static INNER: Of = Of::Within(1, &SCHEMA_OR_REFERENCE);
    static SCHEMA: Of = Of::Message(
        &[
            ("nullable", 1, &Of::Flag),
            ("multipleOf", 10, &Of::Number),
            ("maximum", 11, &Of::Number),
            ("exclusiveMaximum", 12, &Of::Flag),
            ("minimum", 13, &Of::Number),
            ("exclusiveMinimum", 14, &Of::Flag),
            ("maxLength", 15, &Of::Count),
            ("minLength", 16, &Of::Count),
            ("pattern", 17, &Of::Text),
            ("maxItems", 18, &Of::Count),
            ("minItems", 19, &Of::Count),
            ("uniqueItems", 20, &Of::Flag),
            ("maxProperties", 21, &Of::Count),
            ("minProperties", 22, &Of::Count),
            ("required", 23, &TEXTS),
            ("enum", 24, &YAML_LIST),
            ("type", 25, &Of::Text),
            ("allOf", 26, &LIST_OF_SCHEMAS),
            ("oneOf", 27, &LIST_OF_SCHEMAS),
            ("items", 30, &INNER),
            ("properties", 31, &SCHEMAS),
            ("additionalProperties", 32, &INNER),
            ("default", 33, &Of::Default),
            ("format", 35, &Of::Text),
        ],
        Some((36, &Of::Yaml)),
    );
}
