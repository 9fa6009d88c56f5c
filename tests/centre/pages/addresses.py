"""The addresses of the centre's pages, by who may open them."""

from tests.scenario.sample import BROWSER, TOKEN

OPEN = ("/login", "/password", "/help", "/environment")
OF_BROWSER = ("/", "/import", "/export", "/history", f"/revoke?certificate={BROWSER}",
              f"/renew?certificate={BROWSER}")  # fmt: skip
OF_TOKEN = ("/", "/pay", "/payments", "/token", "/token/renew", f"/suspend?certificate={TOKEN}",
            f"/token/renew?certificate={TOKEN}", f"/token/terms?certificate={TOKEN}",
            f"/release?certificate={TOKEN}")  # fmt: skip
