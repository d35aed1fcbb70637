from . import (  # noqa: F401
    test_access,
    test_bridge_client,
    test_configuration,
    test_core_service,
    test_events,
    test_explain,
    test_media,
    test_inbox,
    test_neutralize,
    test_partner_number,
    test_routes,
    test_transactions,
)
