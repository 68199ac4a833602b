//! Bodies of requests to objects: JSON, YAML or protobuf, unknown and duplicate fields, values of wrong types.
//!
//! A body is read in one pass along its schema. Of built-in kinds, fields that the schema does not know are left out,
//! null fields too; a value of a wrong type refuses the body, in the words of Go's decoder; quantities and times are
//! kept in the form in which Kubernetes writes them. Of custom kinds unknown fields are left out unless the schema
//! preserves them, and all other values stay as they are: validation checks them.

mod read;
mod scalar;
mod syntax;
#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::{
    apply,
    error::{Error, FieldError, Reason},
    field::{Path, quote},
    json,
    kinds::group_version,
    protobuf::{self, Envelope},
    schema::{Type, builtin},
};

pub(crate) use read::DEEPEST;
use read::{Found, too_deep};
pub(crate) use scalar::what;

/// Bodies of more bytes than this are refused, as Kubernetes refuses them.
pub const LONGEST: usize = 3 << 20;

/// The form of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/json`.
    Json,
    /// `application/yaml`: one document.
    Yaml,
    /// `application/vnd.kubernetes.protobuf`: one object, of a built-in kind. Its fields are always known and of their
    /// types.
    Protobuf,
}

/// What becomes of unknown and duplicate fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    /// They are left out.
    Ignore,
    /// They are left out, and the caller is warned.
    #[default]
    Warn,
    /// They refuse the body.
    Strict,
}

impl FieldValidation {
    /// Reads the query parameter; absent or empty it is Warn. The options are those of the request, such as
    /// `CreateOptions`.
    ///
    /// # Errors
    /// Invalid, about the options, for any other text.
    pub fn parse(text: Option<&str>, options: &str) -> Result<Self, Error> {
        match text.unwrap_or_default() {
            "Ignore" => Ok(Self::Ignore),
            "" | "Warn" => Ok(Self::Warn),
            "Strict" => Ok(Self::Strict),
            other => {
                let supported = ["", "Ignore", "Strict", "Warn"];
                let field = Path::new("fieldValidation");
                let field = FieldError::not_supported(&field, other, &supported);
                Err(Error::invalid_in("meta.k8s.io", options, "", vec![field]))
            }
        }
    }

    /// What to warn of, given the complaints of a strict reader.
    ///
    /// # Errors
    /// With Strict and any complaint, the message that names them all.
    pub fn judge(self, strict: Vec<String>) -> Result<Vec<String>, String> {
        match self {
            Self::Ignore => Ok(Vec::new()),
            Self::Warn => Ok(strict),
            Self::Strict if strict.is_empty() => Ok(strict),
            Self::Strict => Err(format!("strict decoding error: {}", strict.join(", "))),
        }
    }
}

/// The kind that a request is about.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Empty for core.
    pub group: &'a str,
    /// `v1`.
    pub version: &'a str,
    /// `Pod`.
    pub kind: &'a str,
    /// What its objects look like.
    pub schema: Type<'a>,
}

/// An object that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The object, without what its schema does not know. apiVersion and kind are absent if they were.
    pub object: Value,
    /// What to warn the caller of.
    pub warnings: Vec<String>,
}

/// What a value is by its schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Conformed {
    /// The value, without what the schema does not know, and without what is of a wrong type.
    pub value: Value,
    /// Unknown and duplicate fields: `unknown field "spec.foo"`. At most 100, each once.
    pub strict: Vec<String>,
    /// The first value of a wrong type: `json: cannot unmarshal number into Go struct field ObjectMeta.metadata.name
    /// of type string`.
    pub misfit: Option<String>,
    /// The misfit is the object's apiVersion or kind.
    unrecognized: bool,
}

/// Why a body could not be read at all.
#[derive(Clone, Debug)]
pub enum Unreadable {
    /// It is no JSON, YAML or protobuf, in Go's words: `unexpected end of JSON input`.
    Syntax(String),
    /// It is too long, too deep, or has too many values.
    Excess(Box<Error>),
}

/// Reads a body, along a schema if there is one.
///
/// # Errors
/// See [`Unreadable`]; whether the value fits is told in the result.
pub fn parse(
    body: &[u8],
    format: Format,
    schema: Option<Type<'_>>,
) -> Result<Conformed, Unreadable> {
    read(body, format, schema, Found::default())
}

fn read(
    body: &[u8],
    format: Format,
    schema: Option<Type<'_>>,
    mut found: Found,
) -> Result<Conformed, Unreadable> {
    bounded(body).map_err(|error| Unreadable::Excess(Box::new(error)))?;
    let value = match format {
        Format::Json => {
            let mut source = serde_json::Deserializer::from_slice(body);
            read::read(&mut source, schema, &mut found)
                .and_then(|value| source.end().map(|()| value))
                .map_err(|error| syntax::words(body, &error))
        }
        Format::Yaml => {
            let options = serde_saphyr::options! {
                duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
                legacy_octal_numbers: true,
                with_snippet: false,
            };
            serde_saphyr::with_deserializer_from_slice_with_options(body, options, |source| {
                read::read(source, schema, &mut found)
            })
            .map_err(|error| format!("yaml: {error}"))
        }
        Format::Protobuf => protobuf::decode(body, None).map_err(|error| {
            found.excess = excess(&error);
            error.to_string()
        }),
    };
    finish(value, found)
}

/// Refuses a body that is too long.
fn bounded(body: &[u8]) -> Result<(), Error> {
    if body.len() > LONGEST {
        let message = format!("Request entity too large: limit is {LONGEST}");
        return Err(Error::new(Reason::RequestEntityTooLarge, message));
    }
    Ok(())
}

/// The error of an object that is well formed, and too much.
fn excess(error: &protobuf::Error) -> Option<Error> {
    match error {
        protobuf::Error::TooManyValues => Some(json::too_many_values()),
        protobuf::Error::TooDeep(_) => Some(too_deep()),
        _ => None,
    }
}

/// Reads JSON that may be anything and stands at a depth of an object which has so many values before it.
///
/// # Errors
/// See [`Unreadable`].
pub(crate) fn free(text: &[u8], depth: usize, values: &mut usize) -> Result<Value, Unreadable> {
    let (value, found) = read::free(text, depth, values);
    let value = value.map_err(|error| syntax::words(text, &error));
    finish(value, found).map(|read| read.value)
}

/// Fits a value to a schema: the result of a patch, for instance.
///
/// # Errors
/// The value is too deep or has too many parts.
pub fn conform(value: Value, schema: Type<'_>) -> Result<Conformed, Error> {
    let mut found = Found::default();
    let value = read::read(value, Some(schema), &mut found).map_err(|error| error.to_string());
    finish(value, found).map_err(|unreadable| match unreadable {
        Unreadable::Syntax(words) => Error::bad_request(words),
        Unreadable::Excess(error) => *error,
    })
}

fn finish(value: Result<Value, String>, found: Found) -> Result<Conformed, Unreadable> {
    if let Some(excess) = found.excess {
        return Err(Unreadable::Excess(Box::new(excess)));
    }
    Ok(Conformed {
        value: value.map_err(Unreadable::Syntax)?,
        strict: found.strict,
        misfit: found.misfit,
        unrecognized: found.unrecognized,
    })
}

/// Reads the object of a request. What its managedFields say is in the form in which it is stored.
///
/// # Errors
/// BadRequest if the body is not an object of the kind, or has a value of a wrong type, or, with Strict, unknown or
/// duplicate fields; RequestEntityTooLarge if it is too long or has too many values.
pub fn object(
    body: &[u8],
    format: Format,
    expected: &Expected<'_>,
    validation: FieldValidation,
) -> Result<Decoded, Error> {
    let unrecognized = |why: &str| {
        Error::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): {why} ({})",
            expected.kind,
            summary(body)
        ))
    };
    let refused = |said: &Said<'_>, why: &str| {
        Error::bad_request(format!(
            "{} in version {} cannot be handled as a {}: {why}",
            said.kind,
            quote(said.version),
            expected.kind
        ))
    };
    if format == Format::Protobuf {
        bounded(body)?;
        let envelope = Envelope::open(body).map_err(|error| unrecognized(&error.to_string()))?;
        let said = Said::new(envelope.api_version, envelope.kind, expected)
            .map_err(|words| unrecognized(&words))?;
        if let Some(error) = said.differs(expected, |why| refused(&said, why)) {
            return Err(error);
        }
        let api_version = group_version(said.group, said.version);
        let object = envelope.or((&api_version, said.kind)).decode();
        return match object {
            Ok(mut object) => {
                apply::store_fields(&mut object);
                Ok(Decoded {
                    object,
                    warnings: Vec::new(),
                })
            }
            Err(error) => Err(excess(&error).unwrap_or_else(|| refused(&said, &error.to_string()))),
        };
    }
    let no_kind = |why: &str| {
        unrecognized(&format!(
            "couldn't get version/kind; json parse error: {why}"
        ))
    };
    let found = Found::new(format == Format::Json);
    let read = match read(body, format, Some(expected.schema), found) {
        Ok(read) => read,
        Err(Unreadable::Excess(error)) => return Err(*error),
        Err(Unreadable::Syntax(words)) => return Err(no_kind(&words)),
    };
    if read.unrecognized {
        return Err(no_kind(&read.misfit.unwrap_or_default()));
    }
    let mut object = match read.value {
        object @ Value::Object(_) => object,
        Value::Null if read.misfit.is_none() => Value::Object(json::Object::new()),
        other => {
            let what = match &read.misfit {
                Some(words) => words.split(' ').nth(3).unwrap_or_default(),
                None => scalar::what(&other),
            };
            return Err(no_kind(&format!(
                "json: cannot unmarshal {what} into Go value of type {TYPE_META}"
            )));
        }
    };
    let said = Said::of(&object, expected).map_err(|words| unrecognized(&words))?;
    if let Some(error) = said.differs(expected, |why| refused(&said, why)) {
        return Err(error);
    }
    if let Some(misfit) = read.misfit {
        return Err(refused(&said, &misfit));
    }
    let warnings = validation
        .judge(read.strict)
        .map_err(|why| refused(&said, &why))?;
    if format != Format::Json {
        apply::store_fields(&mut object);
    }
    Ok(Decoded { object, warnings })
}

const TYPE_META: &str = r#"struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#;

/// The kind that an object says it is of.
struct Said<'a> {
    group: &'a str,
    version: &'a str,
    kind: &'a str,
}

impl<'a> Said<'a> {
    fn of(object: &'a Value, expected: &Expected<'a>) -> Result<Self, String> {
        let text = |field| json::text(object, field);
        Self::new(text("apiVersion"), text("kind"), expected)
    }

    /// What is not said is what is expected.
    fn new(api_version: &'a str, kind: &'a str, expected: &Expected<'a>) -> Result<Self, String> {
        let (group, version) = match api_version.split_once('/') {
            Some((_, version)) if version.contains('/') => {
                return Err(format!("unexpected GroupVersion string: {api_version}"));
            }
            Some((group, "")) if group == expected.group => (group, expected.version),
            Some(said) => said,
            None if api_version.is_empty() => (expected.group, expected.version),
            None => ("", api_version),
        };
        let kind = match kind {
            "" => expected.kind,
            kind => kind,
        };
        Ok(Self {
            group,
            version,
            kind,
        })
    }

    /// The error if this is another kind than what is expected.
    fn differs(&self, expected: &Expected<'_>, refused: impl Fn(&str) -> Error) -> Option<Error> {
        let is = (self.group, self.version, self.kind);
        if is == (expected.group, expected.version, expected.kind)
            || expected.schema.group_version_kinds().any(|one| one == is)
        {
            return None;
        }
        let said = group_version(self.group, self.version);
        let wanted = group_version(expected.group, expected.version);
        let known = builtin().of(self.group, self.version, self.kind).is_some();
        if !known && !expected.schema.is_custom() {
            return Some(refused(&format!(
                "no kind {} is registered for version {} in scheme \"pkg/runtime/scheme.go:111\"",
                quote(self.kind),
                quote(&said)
            )));
        }
        if self.kind == expected.kind {
            return Some(Error::bad_request(format!(
                "the API version in the data ({said}) does not match the expected API version ({wanted})"
            )));
        }
        // Kubernetes converts by way of a package that is named after the group.
        let package = match expected.group.split('.').next() {
            None | Some("") => "core",
            Some(package) => package,
        };
        Some(refused(&format!(
            "converting ({}.{}) to ({package}.{}): unknown conversion",
            self.version, self.kind, expected.kind
        )))
    }
}

/// The head of a body, as Kubernetes shows it.
fn summary(body: &[u8]) -> String {
    const SHOWN: usize = 30;
    let head = &body[..body.len().min(SHOWN)];
    let more = if body.len() > SHOWN { " ..." } else { "" };
    match body.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{more}", String::from_utf8_lossy(head)),
        Some(_) => {
            let hex: String = head.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{hex}{more}")
        }
    }
}
