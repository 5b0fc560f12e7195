"""One settings module; what differs between installations comes from the environment."""

import hashlib
from pathlib import Path

from csp.constants import NONCE, NONE, SELF

from deeploy_site import database, embedded_postgres
from deeploy_site.environment import ConfigurationError, flag, kept_secret, number, text, words

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(text("VAR_DIR") or BASE_DIR / "var").resolve()
PRODUCTION = flag("PRODUCTION")
DEBUG = flag("DEBUG")

HOST = text("HOST", "127.0.0.1")
PORT = number("PORT", 8000)
BASE_URL = text("BASE_URL") or f"http://127.0.0.1:{PORT}"
GATEWAY_URL = text("GATEWAY_URL") or f"http://127.0.0.1:{PORT}"

if PRODUCTION:
    missing = [
        n for n in ("SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL", "BASE_URL") if not text(n)
    ]
    if missing:
        raise ConfigurationError(
            f"PRODUCTION=1 needs {', '.join(missing)} (or the same with _FILE) in the environment"
        )
    if DEBUG:
        raise ConfigurationError("DEBUG=1 and PRODUCTION=1 exclude each other")

SECRET_KEY = text("SECRET_KEY") or kept_secret(VAR_DIR / "secrets" / "secret-key")
ENCRYPTION_KEY = text("ENCRYPTION_KEY") or kept_secret(VAR_DIR / "secrets" / "encryption-key")
ALLOWED_HOSTS = words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1],api.localhost")
CSRF_TRUSTED_ORIGINS = words("CSRF_TRUSTED_ORIGINS")
DATABASE_URL = text("DATABASE_URL") or embedded_postgres.url(VAR_DIR)
DATABASES = {"default": database.parse(DATABASE_URL) | {"CONN_HEALTH_CHECKS": True}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "apps.dashboard",
    "apps.explanations",
    "apps.monitoring",
    "apps.feedback",
    "apps.predictions",
    "apps.deployments",
    "apps.registry",
    "apps.accounts",
    "apps.audit",
    "apps.core",
    "deeploy_site",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "django.forms",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "csp",
    "django_filters",
    "django_htmx",
    "django_q",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "lucide",
    "rest_framework",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "deeploy_site.errors.LoginRequired",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "deeploy_site.urls"
ASGI_APPLICATION = "deeploy_site.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "apps.accounts.context.frame",
            ]
        },
    }
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

# Sign-in
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "apps.accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGIN_BY_CODE_ENABLED = False
ACCOUNT_SESSION_REMEMBER = None
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # no mail to whatever address a stranger types
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_ALLOW_UNVERIFIED_EMAIL = True  # an address is vouched for by whoever invited it
MFA_TOTP_ISSUER = "Deeploy"

# Cookies, transport, content
SESSION_COOKIE_AGE = 12 * 60 * 60
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BASE_URL.startswith("https://")
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if flag("TRUST_PROXY") else None
SECURE_HSTS_SECONDS = number("HSTS_SECONDS", 31_536_000 if SESSION_COOKIE_SECURE else 0)
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # other hosts of the domain are not ours to put under HSTS,
    "security.W021",  # nor to enter into the browsers' preload list
    "security.W008",  # the proxy that ends TLS redirects; a redirect here could loop behind it
]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "deeploy_site.errors.csrf_failure"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "frame-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "manifest-src": [SELF],
    }
}

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_THOUSAND_SEPARATOR = False

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "deeploy_site.finders.PackagedScripts",
]
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": VAR_DIR / "files"},
    },
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG or flag("PLAIN_STATIC_FILES")
        else "deeploy_site.static_files.StaticFiles"
    },
}
WHITENOISE_USE_FINDERS = DEBUG or flag("PLAIN_STATIC_FILES")
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = ["map", "png", "jpg", "webp", "gz", "br", "woff", "woff2"]

EMAIL_BACKEND = (
    "django.core.mail.backends.smtp.EmailBackend"
    if text("EMAIL_HOST")
    else "django.core.mail.backends.filebased.EmailBackend"
)
EMAIL_FILE_PATH = VAR_DIR / "mail"
EMAIL_HOST = text("EMAIL_HOST")
EMAIL_PORT = number("EMAIL_PORT", 587)
EMAIL_HOST_USER = text("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = text("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = flag("EMAIL_USE_TLS", True)
DEFAULT_FROM_EMAIL = text("DEFAULT_FROM_EMAIL", "deeploy@localhost")

CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache"}
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apps.accounts.authentication.KeyPairAuthentication",
        "apps.accounts.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": [
        "rest_framework.parsers.JSONParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "apps.core.api.error_response",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Deeploy",
    "DESCRIPTION": "Deployments, models, predictions and their record.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

Q_CLUSTER = {
    "name": "deeploy",
    "orm": "default",
    "workers": number("WORKER_PROCESSES", 2),
    "timeout": 600,
    "retry": 720,
    "max_attempts": 3,
    "ack_failures": True,
    "save_limit": 1000,
    "poll": 1,
    "catch_up": False,
    "label": "Tasks",
}

# Uploads
UPLOAD_MAX_BYTES = number("UPLOAD_MAX_BYTES", 1024**3)
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024**2
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.TemporaryFileUploadHandler"]
FILE_UPLOAD_TEMP_DIR = VAR_DIR / "uploads"
for folder in (FILE_UPLOAD_TEMP_DIR, STATIC_ROOT):
    folder.mkdir(parents=True, exist_ok=True)

# Calls to places outside: networks and hosts within that may be called all the same
OUTBOUND_ALLOW = words("OUTBOUND_ALLOW")
OUTBOUND_CA_BUNDLE = text("OUTBOUND_CA_BUNDLE")
# Imports: folders of this machine from which models may be taken, and how long one may take
LOCAL_SOURCES = words("LOCAL_SOURCES")
IMPORT_SECONDS = number("IMPORT_SECONDS", 1800)
MLFLOW_TRACKING_URL = text("MLFLOW_TRACKING_URL")
# What the layers above do when an import has ended
IMPORT_FOLLOWERS = ["apps.deployments.importing.follow"]

# The registry asks the layer above where its versions run
MODEL_USES = "apps.deployments.usage.uses_of_versions"

# The data plane
PREDICT_MAX_BODY_BYTES = number("PREDICT_MAX_BODY_BYTES", 10 * 1024**2)
PREDICT_MAX_ROWS = number("PREDICT_MAX_ROWS", 10_000)
PREDICT_TIMEOUT_SECONDS = number("PREDICT_TIMEOUT_SECONDS", 30)
PREDICT_BODY_SECONDS = number("PREDICT_BODY_SECONDS", 30)
# Per deployment and web process: requests at the model, and requests that wait for a place
PREDICT_MAX_IN_FLIGHT = number("PREDICT_MAX_IN_FLIGHT", 256)
PREDICT_MAX_WAITING = number("PREDICT_MAX_WAITING", 4_096)
PREDICT_WAIT_SECONDS = number("PREDICT_WAIT_SECONDS", 10)
# One request to explain: its time, what it waits for included, and its instances
EXPLAIN_SECONDS = number("EXPLAIN_SECONDS", 20)
EXPLAIN_MAX_ROWS = number("EXPLAIN_MAX_ROWS", 100)
# What draws explanations for the data plane: a module that runs as a process of its own
EXPLANATION_ARTIST = "apps.explanations.artist"
# Tensors above this size are recorded as bytes in base64, smaller ones as lists of numbers
RECORD_TENSOR_BYTES = number("RECORD_TENSOR_BYTES", 32 * 1024)
# Records of relaxed deployments, on disk while the database is away; per web process
SPOOL_MAX_BYTES = number("SPOOL_MAX_BYTES", 256 * 1024**2)
# What the layers above do, in the same transaction, where predictions are erased
ERASURE_FOLLOWERS = ["apps.explanations.services.forget", "apps.feedback.services.forget"]
# What they add to the record, for `verify` and bundles
RECORD_PARTS = [
    "apps.explanations.record.PART",
    "apps.feedback.record.EVALUATION_PART",
    "apps.feedback.record.ACTUAL_PART",
]
# What stands beside the predictions of the log, and how they can be filtered by it
LOG_COMPANION = "apps.feedback.companion.COMPANION"
# What the page of a prediction shows of its explanations, kept with an evaluation given there
SHOWN_EXPLANATIONS = "apps.explanations.shown.shown_explanations"
# Actuals that one call may bring
ACTUALS_MAX_ROWS = number("ACTUALS_MAX_ROWS", 10_000)
DEFAULT_BACKEND = text("DEFAULT_BACKEND", "process")

# Rollups of the log: by minute for some days, by hour for ever
ROLLUP_MINUTE_DAYS = number("ROLLUP_MINUTE_DAYS", 14)
# What the controller sees to every few seconds, for the layers above it
CONTROLLER_DUTIES = [
    "apps.monitoring.tasks.roll_up",
    "apps.explanations.tasks.end_left_trials",
]
# Handles of model servers that the layers above started, so that they are not taken for orphans
SERVERS_BESIDE = ["apps.explanations.trials.living_handles"]

# Environments: where packages come from, and how long one may take and lie unused
PACKAGE_INDEX_URL = text("PACKAGE_INDEX_URL")
PACKAGE_EXTRA_INDEX_URL = text("PACKAGE_EXTRA_INDEX_URL")
PACKAGE_WHEELS = text("PACKAGE_WHEELS")
PACKAGE_CA_BUNDLE = text("PACKAGE_CA_BUNDLE")
PACKAGE_SOURCE_BUILDS = words("PACKAGE_SOURCE_BUILDS")
ENVIRONMENT_BUILD_SECONDS = number("ENVIRONMENT_BUILD_SECONDS", 3600)
ENVIRONMENT_UNUSED_DAYS = number("ENVIRONMENT_UNUSED_DAYS", 14)

# Containers
INSTALLATION_ID = (
    text("INSTALLATION_ID")
    or hashlib.sha256(kept_secret(VAR_DIR / "secrets" / "installation").encode()).hexdigest()[:12]
)
DOCKER_HOST = text("DOCKER_HOST", "unix:///var/run/docker.sock")
DOCKER_BASE_IMAGE = text("DOCKER_BASE_IMAGE", "python:3.11-slim")
IMAGE_REGISTRY = text("IMAGE_REGISTRY")
SWARM_CONSTRAINTS = words("SWARM_CONSTRAINTS")
SWARM_FETCH_URL = text("SWARM_FETCH_URL")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": text("LOG_LEVEL", "INFO")},
    "loggers": {"django.security.DisallowedHost": {"level": "CRITICAL"}},
}
