/* Passkeys without a library: <form data-passkey="get|create" data-options="{…}"> or data-options-url="…", with a hidden
   input [name=credential] that the answer goes into and a button [data-passkey-go]. What WebAuthn calls bytes is base64url in JSON. */
const toBytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
const toText = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");

function withBytes(options) {
  const made = { ...options, challenge: toBytes(options.challenge) };
  if (made.user) made.user = { ...made.user, id: toBytes(made.user.id) };
  for (const name of ["allowCredentials", "excludeCredentials"]) {
    if (made[name]) made[name] = made[name].map((one) => ({ ...one, id: toBytes(one.id) }));
  }
  return made;
}

function withText(credential) {
  const { response } = credential;
  const told = { clientDataJSON: toText(response.clientDataJSON) };
  for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (response[name]) told[name] = toText(response[name]);
  }
  if (response.getTransports) told.transports = response.getTransports();
  return {
    id: credential.id,
    rawId: toText(credential.rawId),
    type: credential.type,
    response: told,
    authenticatorAttachment: credential.authenticatorAttachment ?? null,
    clientExtensionResults: credential.getClientExtensionResults(),
  };
}

export async function askPasskey(kind, options) {
  const publicKey = withBytes(options.publicKey);
  const credential = kind === "create" ? await navigator.credentials.create({ publicKey }) : await navigator.credentials.get({ publicKey });
  return JSON.stringify(withText(credential));
}

export function sayWhy(form, error) {
  const place = form.querySelector("[data-passkey-error]");
  if (!place) return;
  const stopped = error.name === "NotAllowedError" || error.name === "AbortError";
  place.textContent = stopped ? "The passkey did not answer, or it was cancelled. Nothing was sent." : `The passkey could not be used: ${error.message}`;
  place.hidden = false;
}

async function optionsOf(form) {
  if (form.dataset.options) return JSON.parse(form.dataset.options);
  const answer = await fetch(form.dataset.optionsUrl, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`the server said ${answer.status}`);
  return (await answer.json()).request_options;
}

async function go(form, button) {
  if (!form.reportValidity()) return;
  button.disabled = true;
  try {
    form.querySelector("[name=credential]").value = await askPasskey(form.dataset.passkey, await optionsOf(form));
    form.submit();
  } catch (error) {
    sayWhy(form, error);
    button.disabled = false;
  }
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const button = form.querySelector("[data-passkey-go]");
  if (!window.PublicKeyCredential) form.hidden = true;
  else button.addEventListener("click", (event) => { event.preventDefault(); go(form, button); });
}

/* A decision: <form data-passkey-sign="address">. What the form would send goes there first; what comes back is signed, and
   sent with the form. A password in the form is another way, and goes without. */
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.dataset.passkeySign || form.querySelector("[name=assertion]").value) return;
  if (form.querySelector("[name=password]")?.value || !window.PublicKeyCredential) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  sign(form, event.submitter);
}, true);

async function sign(form, button) {
  const place = form.querySelector("[data-passkey-error]");
  if (place) place.hidden = true;
  try {
    const answer = await fetch(form.dataset.passkeySign, { method: "POST", body: new FormData(form, button), headers: { Accept: "application/json" } });
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.error);
    form.querySelector("[name=assertion]").value = await askPasskey("get", told);
    form.requestSubmit(button);
  } catch (error) {
    sayWhy(form, error);
  }
}
