"""A record's report as a file to send."""

import logging

import psycopg2

from odoo.exceptions import UserError
from odoo.tools.safe_eval import safe_eval, time

from .series import SERIES, translator

_logger = logging.getLogger(__name__)


def report_file(report, record):
    """(bytes, file name) of a report on one record, made with the rights of `record`'s user.

    A PDF; where the server has no wkhtmltopdf, which Odoo needs for it, the same report as HTML.
    """
    _ = translator(record.env)
    reports = record.env["ir.actions.report"]
    pdf = report.report_type == "qweb-pdf" and reports.get_wkhtmltopdf_state() in (
        "ok",
        "upgrade",
        "workers",
    )
    maker = "_render_qweb_pdf" if pdf else "_render_qweb_html"
    if report.report_type == "qweb-text":
        maker = "_render_qweb_text"
    try:
        if SERIES < 16:
            content = getattr(report, maker)(record.ids)[0]
        else:
            content = getattr(reports, maker)(report.report_name, record.ids)[0]
        name = _name(report, record)
    except UserError:
        raise
    except (psycopg2.Error, MemoryError):
        raise
    except Exception as error:  # a report is anybody's code: its author has to see what is wrong
        _logger.exception("report failed: report.id=%s", report.id)
        raise UserError(
            _(
                "Odoo cannot make the report %(report)s of this record: %(error)s. Print it to see "
                "the same."
            )
            % {"report": report.name, "error": str(error) or type(error).__name__}
        ) from None
    extension = {"_render_qweb_pdf": "pdf", "_render_qweb_text": "txt"}.get(maker, "html")
    if isinstance(content, str):
        content = content.encode()
    return content, "%s.%s" % (name, extension)


def _name(report, record):
    # The expression is an administrator's, as in Odoo's own download.
    if report.print_report_name:
        name = safe_eval(report.print_report_name, {"object": record, "time": time})
    else:
        name = "%s - %s" % (report.name, record.display_name)
    return str(name).replace("/", "-").replace("\\", "-").strip() or "report"
