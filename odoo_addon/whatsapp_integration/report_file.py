"""A record's report as a file to send."""

import time

from odoo.tools.safe_eval import safe_eval

from .series import SERIES


def report_file(report, record):
    """(bytes, file name) of a report on one record, made with the rights of `record`'s user.

    A PDF; where the server has no wkhtmltopdf, which Odoo needs for it, the same report as HTML.
    """
    reports = record.env["ir.actions.report"]
    pdf = report.report_type == "qweb-pdf" and reports.get_wkhtmltopdf_state() in (
        "ok",
        "upgrade",
        "workers",
    )
    maker = "_render_qweb_pdf" if pdf else "_render_qweb_html"
    if report.report_type == "qweb-text":
        maker = "_render_qweb_text"
    if SERIES < 16:
        content = getattr(report, maker)(record.ids)[0]
    else:
        content = getattr(reports, maker)(report.report_name, record.ids)[0]
    extension = {"_render_qweb_pdf": "pdf", "_render_qweb_text": "txt"}.get(maker, "html")
    if isinstance(content, str):
        content = content.encode()
    return content, "%s.%s" % (_name(report, record), extension)


def _name(report, record):
    # The expression is an administrator's, as in Odoo's own download.
    if report.print_report_name:
        name = safe_eval(report.print_report_name, {"object": record, "time": time})
    else:
        name = "%s - %s" % (report.name, record.display_name)
    return str(name).replace("/", "-").replace("\\", "-").strip() or "report"
