//! The query of a request as signatures and handlers see it.

use std::borrow::Cow;

use super::request::RequestAuthError;

/// Decoded query parameters: names in lower case, sorted, each once. The same view is signed and used by handlers, so
/// nothing can mean one thing to the signature and another to the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    /// Form-decodes `raw` (`%XX`, and `+` for a space). `k[]=a&k[]=b` and `k[0]=a&k[1]=b` become `k=a,b`, which is what
    /// the PHP SDK signs; of a name that repeats otherwise the last value stays.
    #[must_use]
    pub fn parse(raw: &'a str) -> Self {
        let decoded = form_urlencoded::parse(raw.as_bytes());
        let mut params: Vec<_> = decoded.map(|(name, value)| (unfold(name), value)).collect();
        // Stable: what has the same name stays in the order sent. A search per name would be quadratic.
        params.sort_by(|((one, _), _), ((other, _), _)| one.cmp(other));
        let mut query = Self(Vec::with_capacity(params.len()));
        let mut after_item = false;
        for ((name, is_item), value) in params {
            match query.0.last_mut().filter(|(known, _)| *known == name) {
                Some((_, all)) if after_item && is_item => {
                    let all = all.to_mut();
                    all.push(',');
                    all.push_str(&value);
                }
                Some((_, last)) => *last = value,
                None => query.0.push((name, value)),
            }
            after_item = is_item;
        }
        query
    }

    /// The value of a parameter; `name` in lower case, without brackets.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// All parameters, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    pub(super) fn require(&self, name: &'static str) -> Result<&str, RequestAuthError> {
        self.get(name).ok_or(RequestAuthError::Missing(name))
    }

    /// Every parameter but the signature.
    pub(super) fn signed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter(|(name, _)| *name != "auth_signature")
    }
}

/// Lower-cases a name and takes the brackets of an array item (`k[]`, `k[7]`) off it.
fn unfold(mut name: Cow<'_, str>) -> (Cow<'_, str>, bool) {
    if name.bytes().any(|b| b.is_ascii_uppercase()) {
        name.to_mut().make_ascii_lowercase();
    }
    let index = name.strip_suffix(']').and_then(|rest| rest.rsplit_once('['));
    match index {
        Some((array, digits)) if !array.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            let length = array.len();
            let array = match name {
                Cow::Borrowed(name) => Cow::Borrowed(&name[..length]),
                Cow::Owned(mut name) => {
                    name.truncate(length);
                    Cow::Owned(name)
                }
            };
            (array, true)
        }
        _ => (name, false),
    }
}
