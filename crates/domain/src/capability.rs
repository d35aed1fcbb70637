//! What a provider can do, known before anything is tried.

use serde::{Deserialize, Serialize};

macro_rules! operations {
    ($($variant:ident = $word:literal),+ $(,)?) => {
        /// An operation that some provider has; the keys of `configuration.capabilities`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
        pub enum Operation { $(#[serde(rename = $word)] $variant),+ }

        impl Operation {
            pub const ALL: &'static [Operation] = &[$(Operation::$variant),+];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

operations! {
    SendText = "send_text", SendImage = "send_image", SendVideo = "send_video", SendAudio = "send_audio",
    SendVoice = "send_voice", SendDocument = "send_document", SendGif = "send_gif",
    SendSticker = "send_sticker", SendLocation = "send_location", SendContact = "send_contact",
    SendPoll = "send_poll", SendTemplate = "send_template", SendInteractive = "send_interactive",
    React = "react", Edit = "edit", Delete = "delete", MarkRead = "mark_read", Quote = "quote",
    ContactCheck = "contact_check", ContactBlock = "contact_block", ContactRefresh = "contact_refresh",
    ContactSync = "contact_sync", MessageSync = "message_sync",
    GroupCreate = "group_create", GroupUpdate = "group_update", GroupAdd = "group_add",
    GroupRemove = "group_remove", GroupPromote = "group_promote", GroupInvite = "group_invite",
    GroupJoin = "group_join", GroupLeave = "group_leave", GroupSync = "group_sync",
    RegisterWebhook = "register_webhook", Health = "health",
}

/// The operations one adapter offers in this version.
#[derive(Debug, Clone, Copy)]
pub struct Capabilities {
    pub operations: &'static [Operation],
    /// Longest text, characters.
    pub text_max_chars: usize,
    /// True where the provider repeats nothing sent twice under one reference of ours.
    pub idempotent_sends: bool,
    /// True where free text is only allowed for 24 h after the customer wrote.
    pub service_window: bool,
    /// Messages per second that a new account gets unless its row says otherwise; 1 for unofficial providers.
    pub default_pace_per_second: f64,
}

impl Capabilities {
    pub fn can(&self, operation: Operation) -> bool {
        self.operations.contains(&operation)
    }
}
