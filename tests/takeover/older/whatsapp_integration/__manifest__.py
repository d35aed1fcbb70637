# What 14.0.4.2.0 left in databases, rebuilt for the tests of the take-over: tables, constraints, external ids. It does nothing.
{
    "name": "WhatsApp Integration",
    "version": "4.2.0",
    "license": "LGPL-3",
    "application": True,
    "depends": ["base"],
    "data": ["data.xml"],
    "post_init_hook": "make_crons",
}
