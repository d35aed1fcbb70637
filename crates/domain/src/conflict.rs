//! Which of two names stays where the provider and a user of Odoo say different things.
//!
//! A three-way comparison: what the provider told last, what it tells now, what stands in Odoo. Where only one side
//! changed, that side's stays. Where both did, the account's policy decides, and the decision is shown.

use jiff::Timestamp;

/// The word in `whatsapp_configuration.conflict_policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConflictPolicy {
    #[default]
    Newest,
    Provider,
    Odoo,
}

impl ConflictPolicy {
    pub const ALL: [Self; 3] = [Self::Newest, Self::Provider, Self::Odoo];

    /// Unknown words and NULL read as the default.
    pub fn from_column(word: Option<&str>) -> Self {
        match word {
            Some("provider") => Self::Provider,
            Some("odoo") => Self::Odoo,
            _ => Self::Newest,
        }
    }
}

/// What is known of one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sides<'a> {
    /// What the provider told last; the outer None: it never told any, as far as is known.
    pub synced: Option<Option<&'a str>>,
    /// When the provider still said so.
    pub synced_at: Option<Timestamp>,
    /// What the provider tells now; None: it tells nothing, which changes nothing.
    pub provider: Option<&'a str>,
    /// When it was changed there, where the provider says so.
    pub provider_at: Option<Timestamp>,
    pub odoo: Option<&'a str>,
    /// When a user changed it in Odoo last.
    pub edited_at: Option<Timestamp>,
}

/// What becomes of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Nothing to do: both say the same, or the provider says nothing new.
    Stays,
    /// Only the provider changed it, or nobody in Odoo ever said anything.
    Follows,
    /// Both changed it, and the provider's is taken.
    Provider(Reason),
    /// Both changed it, and Odoo's is kept.
    Odoo(Reason),
}

/// Why one of two was preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The account's policy names this side.
    Policy,
    /// It is the newer one.
    Newer,
    /// The other side's time is not known.
    Undated,
}

impl Reason {
    /// A sentence for users.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Policy => "the account's rule for different names says so",
            Self::Newer => "it is the newer change",
            Self::Undated => "nobody knows when the other one was typed",
        }
    }
}

/// Decides.
pub fn decide(policy: ConflictPolicy, sides: &Sides<'_>) -> Decision {
    let Some(provider) = sides.provider else { return Decision::Stays };
    if sides.odoo == Some(provider) || sides.synced == Some(Some(provider)) {
        // The same on both sides, or only Odoo's was changed since: what users typed stays.
        return if sides.odoo.is_none() { Decision::Follows } else { Decision::Stays };
    }
    let Some(odoo) = sides.odoo else { return Decision::Follows };
    if sides.synced == Some(Some(odoo)) {
        return Decision::Follows;
    }
    match policy {
        ConflictPolicy::Provider => Decision::Provider(Reason::Policy),
        ConflictPolicy::Odoo => Decision::Odoo(Reason::Policy),
        ConflictPolicy::Newest => match (sides.edited_at, sides.provider_at.or(sides.synced_at)) {
            (None, _) => Decision::Provider(Reason::Undated),
            (Some(_), None) => Decision::Odoo(Reason::Undated),
            // Without a time of its own the provider's change is known to be later than `synced_at`, no more: a user's
            // word since then is not given up for it.
            (Some(edited), Some(told)) if edited > told => Decision::Odoo(Reason::Newer),
            (Some(_), Some(_)) => Decision::Provider(Reason::Newer),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Option<Timestamp> {
        Some(Timestamp::from_second(1_765_800_000 + second).unwrap())
    }

    /// Every combination of (last synced, provider, Odoo) × policy × who was later.
    #[test]
    fn all_combinations() {
        use ConflictPolicy as P;
        use Decision::{Follows, Odoo, Provider, Stays};
        use Reason::{Newer, Policy, Undated};
        let (a, b, c) = (Some("a"), Some("b"), Some("c"));
        // (last synced, provider, Odoo): what becomes of it whatever the policy, None where the policy decides.
        let table = [
            // The provider says nothing.
            (None, None, None, Some(Stays)),
            (None, None, a, Some(Stays)),
            (Some(None), None, None, Some(Stays)),
            (Some(None), None, a, Some(Stays)),
            (Some(a), None, None, Some(Stays)),
            (Some(a), None, a, Some(Stays)),
            (Some(a), None, b, Some(Stays)),
            // Both say the same.
            (None, a, a, Some(Stays)),
            (Some(None), a, a, Some(Stays)),
            (Some(a), a, a, Some(Stays)),
            (Some(b), a, a, Some(Stays)),
            // Nobody in Odoo says anything.
            (None, a, None, Some(Follows)),
            (Some(None), a, None, Some(Follows)),
            (Some(a), a, None, Some(Follows)),
            (Some(b), a, None, Some(Follows)),
            // Only the provider's changed.
            (Some(b), a, b, Some(Follows)),
            // Only Odoo's changed.
            (Some(a), a, b, Some(Stays)),
            // Both did, or what was before is not known.
            (Some(c), a, b, None),
            (Some(None), a, b, None),
            (None, a, b, None),
        ];
        // (edited in Odoo, changed at the provider, last synced): who is the newer one.
        let times = [
            (None, None, None, Provider(Undated)),
            (None, at(5), at(1), Provider(Undated)),
            (at(5), None, None, Odoo(Undated)),
            (at(5), at(4), at(1), Odoo(Newer)),
            (at(5), at(5), at(1), Provider(Newer)),
            (at(5), at(6), at(1), Provider(Newer)),
            (at(5), None, at(4), Odoo(Newer)),
            (at(5), None, at(6), Provider(Newer)),
        ];
        for (synced, provider, odoo, always) in table {
            for (edited_at, provider_at, synced_at, newest) in times {
                for policy in P::ALL {
                    let want = always.unwrap_or(match policy {
                        P::Provider => Provider(Policy),
                        P::Odoo => Odoo(Policy),
                        P::Newest => newest,
                    });
                    let sides = Sides { synced, synced_at, provider, provider_at, odoo, edited_at };
                    assert_eq!(decide(policy, &sides), want, "{policy:?} {sides:?}");
                }
            }
        }
    }

    #[test]
    fn words() {
        for (word, policy) in [
            (Some("newest"), ConflictPolicy::Newest),
            (Some("provider"), ConflictPolicy::Provider),
            (Some("odoo"), ConflictPolicy::Odoo),
            (Some("?"), ConflictPolicy::Newest),
            (None, ConflictPolicy::Newest),
        ] {
            assert_eq!(ConflictPolicy::from_column(word), policy);
        }
    }
}
