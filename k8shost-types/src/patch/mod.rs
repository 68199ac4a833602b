//! Patches: RFC 6902 (JSON Patch), RFC 7386 (JSON merge patch) and Kubernetes' strategic merge patch, which goes by
//! the schema's patch strategies and merge keys.

#[cfg(test)]
mod laws;
mod ops;
mod strategic;
#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::{
    decode::{self, Decoded, FieldValidation, Format, Unreadable},
    error::{Error, FieldError, Reason},
    field::Path,
    json::Object,
    schema::Type,
};

/// How a patch is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchKind {
    /// `application/json-patch+json`.
    Json,
    /// `application/merge-patch+json`.
    Merge,
    /// `application/strategic-merge-patch+json`: not for custom kinds.
    Strategic,
}

/// A patch that was read, to be applied to one state of an object after another until it is stored.
#[derive(Clone, Debug)]
pub struct Patch {
    change: Change,
    /// What a strict reader says of the patch itself.
    strict: Vec<String>,
}

#[derive(Clone, Debug)]
enum Change {
    Ops(Vec<json_patch::PatchOperation>),
    Merge(Value),
    Strategic(Object),
}

impl Patch {
    /// Reads a patch.
    ///
    /// # Errors
    /// BadRequest if it is no JSON or not of the right form, RequestEntityTooLarge if it is too long or has more than
    /// 10,000 operations, Invalid if an operation is none.
    pub fn parse(kind: PatchKind, body: &[u8]) -> Result<Self, Error> {
        let prefix = match kind {
            PatchKind::Strategic => "",
            PatchKind::Json | PatchKind::Merge => "error decoding patch: ",
        };
        let undecodable = |why: &str| Error::bad_request(format!("{prefix}{why}"));
        let read = match decode::parse(body, Format::Json, None) {
            Ok(read) => read,
            Err(Unreadable::Excess(error)) => return Err(*error),
            Err(Unreadable::Syntax(words)) => return Err(undecodable(&words)),
        };
        let refuse = |value: &Value, go_type: &str| {
            let what = decode::what(value);
            undecodable(&format!(
                "json: cannot unmarshal {what} into Go value of type {go_type}"
            ))
        };
        let mut strict = read.strict;
        let change = match (kind, read.value) {
            (PatchKind::Json, Value::Array(ops)) => {
                if let Some(other) = ops.iter().find(|op| !op.is_object()) {
                    return Err(refuse(other, "handlers.jsonPatchOp"));
                }
                strict.extend(ops::unknown(&ops));
                strict
                    .iter_mut()
                    .for_each(|complaint| complaint.insert_str(0, "json patch "));
                Change::Ops(ops::parse(ops)?)
            }
            (PatchKind::Json, other) => return Err(refuse(&other, "[]handlers.jsonPatchOp")),
            (PatchKind::Merge, patch @ Value::Object(_)) => Change::Merge(patch),
            (PatchKind::Strategic, Value::Object(patch)) => Change::Strategic(patch),
            (_, other) => return Err(refuse(&other, "map[string]interface {}")),
        };
        Ok(Self { change, strict })
    }

    /// The object with the patch applied, fitted to its schema: unknown fields are left out.
    ///
    /// # Errors
    /// Invalid if an operation of a JSON patch cannot be done, or the result does not fit the schema, or, with Strict,
    /// has unknown fields; BadRequest or Internal, as in Kubernetes, if the directives of a strategic patch make no
    /// sense; RequestEntityTooLarge if the object grows beyond bounds.
    pub fn apply(
        &self,
        schema: Type<'_>,
        current: &Value,
        validation: FieldValidation,
    ) -> Result<Decoded, Error> {
        let fitted = decode::conform(self.changed(schema, current)?, schema)?;
        let invalid = |why: &str| {
            let shown = match &self.change {
                Change::Strategic(patch) => strategic::go_map(patch),
                // As it was before it was fitted.
                _ => match self.changed(schema, current) {
                    Ok(patched) => patched.to_string(),
                    Err(error) => return error,
                },
            };
            let field = FieldError::invalid(&Path::new("patch"), &shown, why);
            Error::invalid("", "", vec![field])
        };
        if let Some(misfit) = &fitted.misfit {
            return Err(invalid(&self.words(misfit)));
        }
        let strict = self.strict.iter().chain(&fitted.strict).cloned().collect();
        let warnings = validation.judge(strict).map_err(|why| invalid(&why))?;
        match fitted.value {
            object @ Value::Object(_) => Ok(Decoded { object, warnings }),
            other => Err(invalid(&format!(
                "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
                decode::what(&other)
            ))),
        }
    }

    /// What does not fit, as Kubernetes says it: the result of a strategic merge is read by another reader.
    fn words(&self, misfit: &str) -> String {
        if let Change::Strategic(_) = self.change
            && let Some(rest) =
                misfit.strip_prefix("json: cannot unmarshal string into Go struct field ")
            && let Some((field, wanted @ ("int32" | "int64"))) = rest.rsplit_once(" of type ")
            && !field.starts_with("ObjectMeta.")
        {
            return format!("unrecognized type: {wanted}");
        }
        misfit.to_owned()
    }

    fn changed(&self, schema: Type<'_>, current: &Value) -> Result<Value, Error> {
        let mut object = current.clone();
        match &self.change {
            Change::Ops(ops) => ops::apply(&mut object, ops)?,
            Change::Merge(patch) => json_patch::merge(&mut object, patch),
            Change::Strategic(patch) => strategic::apply(&mut object, patch, schema)?,
        }
        Ok(object)
    }
}

/// Reads a patch and applies it: [`Patch::parse`] and [`Patch::apply`].
///
/// # Errors
/// Those of both.
pub fn patch(
    kind: PatchKind,
    schema: Type<'_>,
    current: &Value,
    body: &[u8],
    validation: FieldValidation,
) -> Result<Decoded, Error> {
    Patch::parse(kind, body)?.apply(schema, current, validation)
}

/// What Kubernetes answers to a patch that is understood and cannot be applied, whatever the cause.
fn unprocessable() -> Error {
    let message = "the server rejected our request due to an error in our request";
    Error::new(Reason::Invalid, message).about("", "", "")
}
