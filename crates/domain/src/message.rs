//! One message: its words, and the rule that derives the status from facts.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        pub enum $name { $(#[serde(rename = $word)] $variant),+ }

        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

words! {
    /// `whatsapp_message.message_type`.
    MessageType {
        Text = "text", Image = "image", Video = "video", Audio = "audio", Voice = "voice",
        Document = "document", Gif = "gif", Sticker = "sticker", Location = "location",
        Contact = "contact", Poll = "poll", Reaction = "reaction", Template = "template",
        Interactive = "interactive", Order = "order", System = "system", Unknown = "unknown",
    }
}

words! {
    /// `whatsapp_message.direction`.
    Direction { Inbound = "inbound", Outbound = "outbound" }
}

words! {
    /// `whatsapp_message.origin`: who made the row.
    Origin { Rpc = "rpc", Odoo = "odoo", Phone = "phone", Provider = "provider" }
}

words! {
    /// What a provider says of a message, in our words.
    StatusWord {
        Pending = "pending", Sent = "sent", Failed = "failed", Delivered = "delivered",
        Read = "read", Played = "played", Deleted = "deleted",
    }
}

words! {
    /// `whatsapp_message.status`.
    Status {
        Draft = "draft", Queued = "queued", Uncertain = "uncertain", Pending = "pending",
        Sent = "sent", Failed = "failed", Delivered = "delivered", Read = "read",
        Played = "played", Deleted = "deleted", Cancelled = "cancelled",
    }
}

impl Status {
    /// True where nothing more is expected of the provider's answer to the send itself.
    pub fn answered(self) -> bool {
        !matches!(self, Self::Draft | Self::Queued)
    }
}

/// What is known of a message: the earliest time of each fact, UTC, whole seconds in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Facts {
    pub queued_at: Option<Timestamp>,
    pub uncertain_at: Option<Timestamp>,
    pub pending_at: Option<Timestamp>,
    pub sent_at: Option<Timestamp>,
    pub failed_at: Option<Timestamp>,
    pub delivered_at: Option<Timestamp>,
    pub read_at: Option<Timestamp>,
    pub played_at: Option<Timestamp>,
    pub deleted_at: Option<Timestamp>,
    pub cancelled_at: Option<Timestamp>,
}

impl Facts {
    /// The status: the greatest known fact wins, so all orders of arrival give the same word.
    pub fn status(&self) -> Status {
        let ladder = [
            (self.deleted_at, Status::Deleted),
            (self.played_at, Status::Played),
            (self.read_at, Status::Read),
            (self.delivered_at, Status::Delivered),
            (self.failed_at, Status::Failed),
            (self.sent_at, Status::Sent),
            (self.pending_at, Status::Pending),
            (self.uncertain_at, Status::Uncertain),
            (self.cancelled_at, Status::Cancelled),
            (self.queued_at, Status::Queued),
        ];
        ladder.into_iter().find_map(|(at, status)| at.map(|_| status)).unwrap_or(Status::Draft)
    }

    /// Adds a fact; of two times of one fact the earliest stays.
    pub fn note(&mut self, word: StatusWord, at: Timestamp) {
        let slot = match word {
            StatusWord::Pending => &mut self.pending_at,
            StatusWord::Sent => &mut self.sent_at,
            StatusWord::Failed => &mut self.failed_at,
            StatusWord::Delivered => &mut self.delivered_at,
            StatusWord::Read => &mut self.read_at,
            StatusWord::Played => &mut self.played_at,
            StatusWord::Deleted => &mut self.deleted_at,
        };
        *slot = Some(slot.map_or(at, |known| known.min(at)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn failed_then_delivered_ends_as_delivered() {
        let mut facts = Facts { queued_at: Some(at(1)), ..Facts::default() };
        facts.note(StatusWord::Failed, at(3));
        assert_eq!(facts.status(), Status::Failed);
        facts.note(StatusWord::Delivered, at(2));
        assert_eq!(facts.status(), Status::Delivered);
    }

    #[test]
    fn nothing_known_is_a_draft() {
        assert_eq!(Facts::default().status(), Status::Draft);
    }

    proptest! {
        #[test]
        fn every_order_gives_the_same_facts(
            mut events in proptest::collection::vec((0usize..StatusWord::ALL.len(), 1i64..1000), 1..12),
            seed in any::<u64>(),
        ) {
            let fold = |events: &[(usize, i64)]| {
                let mut facts = Facts::default();
                for (word, second) in events {
                    facts.note(StatusWord::ALL[*word], at(*second));
                }
                facts
            };
            let first = fold(&events);
            let turn = usize::try_from(seed % events.len() as u64).unwrap();
            events.rotate_left(turn);
            events.reverse();
            let second = fold(&events);
            prop_assert_eq!(first, second);
            prop_assert_eq!(first.status(), second.status());
        }
    }
}
