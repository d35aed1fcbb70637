//! How the simulator's custom provider does groups: the mapping that an account would have.

pub const MAPPING: &str = r#"{"api": {"groups": {
    "create": {
        "path": "/groups",
        "body": {"title": "{subject}", "about": "{description}", "members": "{participants}"},
        "group_id": "/group/id", "people": "/outcomes", "id": "/member", "result": "/outcome"
    },
    "info": {
        "method": "GET", "path": "/groups/{group_id}", "name": "/group/title", "description": "/group/about",
        "members": "/group/members", "id": "/id", "role": "/leads"
    },
    "update": {
        "method": "PATCH", "path": "/groups/{group_id}", "body": {"title": "{subject}", "about": "{description}"}
    },
    "add": {
        "path": "/groups/{group_id}/members", "body": {"members": "{participants}"},
        "people": "/outcomes", "id": "/member", "result": "/outcome"
    },
    "remove": {
        "path": "/groups/{group_id}/members/remove", "body": {"members": "{participants}"},
        "people": "/outcomes", "id": "/member", "result": "/outcome"
    },
    "promote": {
        "path": "/groups/{group_id}/members/promote", "body": {"members": "{participants}"},
        "people": "/outcomes", "id": "/member", "result": "/outcome"
    },
    "demote": {
        "path": "/groups/{group_id}/members/demote", "body": {"members": "{participants}"},
        "people": "/outcomes", "id": "/member", "result": "/outcome"
    },
    "invite": {"method": "GET", "path": "/groups/{group_id}/invite", "invite": "/code"},
    "revoke_invite": {"method": "DELETE", "path": "/groups/{group_id}/invite"},
    "join": {"path": "/groups/join", "body": {"code": "{invite_code}"}, "group_id": "/group/id"},
    "leave": {"method": "DELETE", "path": "/groups/{group_id}"},
    "results": {
        "ok": "done", "privacy": "refused_privacy", "unknown": "not_on_whatsapp", "present": "already_member",
        "absent": "not_member"
    }
}}}"#;
