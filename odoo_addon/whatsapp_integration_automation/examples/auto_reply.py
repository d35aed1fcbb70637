# Answers the first message of a day in each direct chat. One key for each chat and day: whatever runs
# this again sends nothing again.
if record.direction == "inbound" and record.chat_id and not record.group_id:
    day = datetime.date.today().isoformat()
    env["whatsapp.core.service"].send_text_message(
        record.chat_id,
        "Thank you for your message. We answer on weekdays from 9 to 17.",
        configuration_id=record.configuration_id.id,
        reply_to=record.id,
        idempotency_key="auto-reply %s %s %s" % (record.configuration_id.id, record.chat_id, day),
    )
