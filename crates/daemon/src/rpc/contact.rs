//! Bodies of `contact.…`: who is on WhatsApp, and what people want to get.
