-- Echoes wait in chats where a send was given up as uncertain: they may tell that it was sent after all.
CREATE INDEX attempt_unknown ON attempt (configuration_id, chat_key)
    WHERE outcome = 'uncertain' AND provider_message_id IS NULL;
