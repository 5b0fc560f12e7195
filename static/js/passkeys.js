// Says in the page why a passkey could not be used; allauth reports it as an event only.
const reason = (error) => {
  if (error?.name === "NotAllowedError") return "The passkey was not used: the request was cancelled or timed out. Try again.";
  if (error?.name === "InvalidStateError") return "This device or key is added already.";
  if (error?.name === "SecurityError" || !window.PublicKeyCredential) return `Passkeys work on https addresses and on localhost, not on ${location.host}.`;
  return `The passkey could not be used: ${error?.message ?? error}`;
};
document.addEventListener("allauth.error", (e) => {
  const line = document.querySelector("[data-passkey-error]");
  if (!line) return;
  e.preventDefault();
  line.textContent = reason(e.detail.exception);
  line.hidden = false;
});
