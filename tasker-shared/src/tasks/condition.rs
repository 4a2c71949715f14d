//! Conditions on the values that templates name for search: `order_id=42`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest condition, in bytes.
const MAX_BYTES: usize = 4096;

/// How much of a text that is none a message quotes, in characters.
const MAX_QUOTED: usize = 80;

/// What a value at a search path has to be. Written `PATH=VALUE`, `PATH^=BEGINNING`, `PATH<VALUE`, or with
/// `<=`, `>` or `>=`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Condition {
    /// The path, as templates name it.
    pub path: String,
    /// How the value is compared.
    pub operator: Operator,
    /// What it is compared with.
    pub operand: String,
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// It has this text.
    Equal,
    /// Its text begins so.
    BeginsWith,
    /// It is less: as a number where the operand is one, else as a text.
    Less,
    /// It is less or equal.
    LessOrEqual,
    /// It is greater.
    Greater,
    /// It is greater or equal.
    GreaterOrEqual,
}

impl Operator {
    /// Every operator; one that begins with another comes first.
    pub const ALL: [Self; 6] = [
        Self::BeginsWith,
        Self::LessOrEqual,
        Self::GreaterOrEqual,
        Self::Equal,
        Self::Less,
        Self::Greater,
    ];

    /// How it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::BeginsWith => "^=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

/// A text is no condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0}; conditions are PATH=VALUE, PATH^=BEGINNING, PATH<VALUE, PATH<=VALUE, PATH>VALUE and \
     PATH>=VALUE"
)]
pub struct NoCondition(String);

impl FromStr for Condition {
    type Err = NoCondition;

    fn from_str(text: &str) -> Result<Self, NoCondition> {
        let quoted = || text.chars().take(MAX_QUOTED).collect::<String>();
        if text.len() > MAX_BYTES {
            let message = format!("a condition has more than {MAX_BYTES} bytes: {}…", quoted());
            return Err(NoCondition(message));
        }
        let none = || NoCondition(format!("`{}` is no condition", quoted()));
        let at = text.find(is_operator).ok_or_else(none)?;
        let (path, behind) = text.split_at(at);
        let mut operators = Operator::ALL.into_iter();
        let found = operators.find_map(|operator| {
            let operand = behind.strip_prefix(operator.as_str())?;
            Some((operator, operand.to_owned()))
        });
        let (operator, operand) = found.ok_or_else(none)?;
        if !is_search_path(path) {
            return Err(NoCondition(format!(
                "`{}` has no search path before the {}",
                quoted(),
                operator.as_str()
            )));
        }
        Ok(Self {
            path: path.to_owned(),
            operator,
            operand,
        })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            operator,
            operand,
        } = self;
        write!(f, "{path}{}{operand}", operator.as_str())
    }
}

impl From<Condition> for String {
    fn from(condition: Condition) -> Self {
        condition.to_string()
    }
}

impl TryFrom<String> for Condition {
    type Error = NoCondition;

    fn try_from(text: String) -> Result<Self, NoCondition> {
        text.parse()
    }
}

/// Whether templates can name this path for search: keys of 1 to 64 characters, joined by dots.
pub(crate) fn is_search_path(path: &str) -> bool {
    path.split('.').all(|key| {
        (1..=64).contains(&key.chars().count())
            && !key.contains(|character: char| {
                character.is_whitespace() || character.is_control() || is_operator(character)
            })
    })
}

/// Whether an operator may begin with it, of those there are and those there may be.
fn is_operator(character: char) -> bool {
    matches!(character, '=' | '<' | '>' | '^' | '!' | '~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_a_path_an_operator_and_a_value() {
        for (text, path, operator, operand) in [
            ("order_id=42", "order_id", Operator::Equal, "42"),
            (
                "customer.email^=bob@",
                "customer.email",
                Operator::BeginsWith,
                "bob@",
            ),
            ("amount<10.5", "amount", Operator::Less, "10.5"),
            ("amount<=10", "amount", Operator::LessOrEqual, "10"),
            ("at>2030-05-01", "at", Operator::Greater, "2030-05-01"),
            ("at>=2030", "at", Operator::GreaterOrEqual, "2030"),
            ("note=", "note", Operator::Equal, ""),
            ("note==<a> = b", "note", Operator::Equal, "=<a> = b"),
            ("größe=ü", "größe", Operator::Equal, "ü"),
        ] {
            let condition: Condition = text.parse().unwrap();
            assert_eq!(condition.path, path, "{text}");
            assert_eq!(condition.operator, operator, "{text}");
            assert_eq!(condition.operand, operand, "{text}");
            assert_eq!(condition.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_condition_is_refused_with_how_they_are_written() {
        let long = format!("{}=1", "k".repeat(65));
        let huge = format!("k={}", "v".repeat(MAX_BYTES));
        for text in [
            "",
            "order_id",
            "=42",
            "order id=42",
            " a=1",
            "a..b=1",
            ".a=1",
            "a!=1",
            "a^1",
            "a~1",
            &long,
            &huge,
        ] {
            let refused = text.parse::<Condition>().unwrap_err().to_string();
            assert!(refused.contains("PATH^=BEGINNING"), "{text}: {refused}");
        }
    }
}
