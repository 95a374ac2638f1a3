"""The pages: one module a part of the site, their routers in the order they are tried."""

from gateway.pages import (
    account,
    budget,
    communes,
    desk,
    desk_budget,
    desk_hotspots,
    desk_settings,
    desk_stats,
    drafts,
    home,
    hotspots,
    report_form,
    reports,
    voting,
)

ROUTERS = (
    home.router,
    communes.router,
    report_form.router,
    reports.router,
    hotspots.router,
    budget.router,
    drafts.router,
    voting.router,
    account.router,
    desk.router,
    desk_budget.router,
    desk_stats.router,
    desk_settings.router,
    desk_hotspots.router,
)
