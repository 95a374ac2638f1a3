"""The pages: one module a part of the site, their routers in the order they are tried."""

from gateway.pages import (
    account,
    budget,
    communes,
    desk,
    desk_budget,
    home,
    reports,
    voting,
)

ROUTERS = (
    home.router,
    communes.router,
    reports.router,
    budget.router,
    voting.router,
    account.router,
    desk.router,
    desk_budget.router,
)
