//! What reading a message keeps in mind.

use std::borrow::Cow;

use crate::Violations;

/// Deepest nesting of messages, lists and objects that is read.
pub const MAX_DEPTH: usize = 100;

/// Whether a path of field names goes deeper than anything that is read: a message that contains itself has paths of any
/// length, and following one takes stack.
pub(crate) fn too_deep(path: &str) -> bool {
    path.split('.').nth(MAX_DEPTH).is_some()
}

/// State of reading one JSON document.
#[derive(Debug, Default)]
pub struct Context {
    /// What was wrong so far, and where reading stands.
    pub violations: Violations,
    depth: usize,
    tolerant: bool,
    canonical: bool,
    mask: Option<Mask>,
    claims: Vec<(String, Source)>,
    source: Source,
}

/// Where a text comes from.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A variable of the path.
    #[default]
    Path,
    /// A parameter of the query.
    Query,
}

/// The proto path where reading stands and the leaves met, for the update mask of a PATCH.
#[derive(Debug, Default)]
struct Mask {
    path: Vec<&'static str>,
    leaves: Vec<Cow<'static, str>>,
    /// Above 0 inside a value that is a leaf as a whole.
    sealed: usize,
}

impl Context {
    /// For reading a document.
    pub fn new() -> Self {
        Self::default()
    }

    /// For reading a document while noting which fields it names.
    pub fn with_mask() -> Self {
        Self {
            mask: Some(Mask::default()),
            ..Self::default()
        }
    }

    /// For reading a document whose sender may know more than the contract says: fields and names of enums that are not known
    /// are skipped.
    pub fn tolerant() -> Self {
        Self {
            tolerant: true,
            ..Self::default()
        }
    }

    /// For reading ProtoJSON as clients write it that know nothing of the contract's options: enums have their names in
    /// the proto too, or numbers, decimals may be strings, and fields that are not known are skipped.
    pub fn canonical() -> Self {
        Self {
            tolerant: true,
            canonical: true,
            ..Self::default()
        }
    }

    /// Whether ProtoJSON is read as it is, beside what the contract makes of it.
    pub(crate) fn is_canonical(&self) -> bool {
        self.canonical
    }

    /// Whether a field that is not known is a violation.
    pub(crate) fn refuses_unknown(&self) -> bool {
        !self.tolerant
    }

    /// Whether a name of an enum that is not known is skipped. Not in a call: it would lose a value that a caller gives.
    pub(crate) fn skips_unknown_names(&self) -> bool {
        self.tolerant && !self.canonical
    }

    /// For going on after a document was read.
    pub(crate) fn continuing(violations: Violations) -> Self {
        Self {
            violations,
            ..Self::default()
        }
    }

    /// Goes one level deeper, or says that this is too deep.
    pub(crate) fn descend<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(E::custom(format_args!(
                "nested deeper than {MAX_DEPTH} levels"
            )));
        }
        Ok(())
    }

    /// Comes back up.
    pub(crate) fn ascend(&mut self) {
        self.depth -= 1;
    }

    pub(crate) fn enter_field(&mut self, json_name: &'static str, proto_name: &'static str) {
        self.violations.push_field(json_name);
        if let Some(mask) = &mut self.mask {
            mask.path.push(proto_name);
        }
    }

    /// Leaves a field; `leaf` when its value stands in the mask as a whole.
    pub(crate) fn leave_field(&mut self, leaf: bool) {
        self.violations.pop();
        if let Some(mask) = &mut self.mask {
            if leaf && mask.sealed == 0 {
                // Most are fields of the document itself.
                mask.leaves.push(match mask.path[..] {
                    [name] => Cow::Borrowed(name),
                    _ => Cow::Owned(mask.path.join(".")),
                });
            }
            mask.path.pop();
        }
    }

    /// How many fields the mask holds.
    pub(crate) fn mask_len(&self) -> usize {
        self.mask.as_ref().map_or(0, |mask| mask.leaves.len())
    }

    /// Runs `read` with the fields inside left out of the mask.
    pub(crate) fn sealed<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        self.seal(1);
        let result = read(self);
        self.seal(-1);
        result
    }

    fn seal(&mut self, by: isize) {
        if let Some(mask) = &mut self.mask {
            mask.sealed = mask.sealed.saturating_add_signed(by);
        }
    }

    /// Runs `bind` at a field with texts from `source`.
    pub(crate) fn bind_from(&mut self, source: Source, bind: impl FnOnce(&mut Self)) {
        self.source = source;
        bind(self);
    }

    /// Runs `bind` at a field; used by generated code.
    pub fn at(&mut self, field: &'static str, bind: impl FnOnce(&mut Self)) {
        self.violations.push_field(field);
        bind(self);
        self.violations.pop();
    }

    /// Notes a name that no field has; used by generated code.
    pub fn unknown(&mut self, name: &str) {
        self.violations
            .key(name, |violations| violations.add("Unknown parameter"));
    }

    /// Takes the field where binding stands, once; a second text for it is a violation.
    pub(crate) fn claim(&mut self) -> bool {
        let path = self.violations.path();
        if let Some((_, source)) = self.claims.iter().find(|(claimed, _)| *claimed == path) {
            self.violations.add(match source {
                Source::Path => "Is given in the path already",
                Source::Query => "Given more than once",
            });
            return false;
        }
        self.claims.push((path, self.source));
        true
    }

    /// What was wrong, and the proto paths of the fields the document named.
    pub fn finish(self) -> (Violations, Vec<Cow<'static, str>>) {
        (
            self.violations,
            self.mask.map(|mask| mask.leaves).unwrap_or_default(),
        )
    }
}
