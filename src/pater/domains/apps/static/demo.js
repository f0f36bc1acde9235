// The demonstration's own app: SMART App Launch with PKCE from a page, as any app would do it.
(() => {
  "use strict";
  const box = document.getElementById("demo-app");
  const { client, issuer, scope, launchScope } = box.dataset;
  const home = issuer + "/demo-app";
  const asked = new URLSearchParams(location.search);

  const encoded = (bytes) =>
    btoa(String.fromCharCode(...new Uint8Array(bytes)))
      .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const random = () => encoded(crypto.getRandomValues(new Uint8Array(32)));
  const show = (id, text) => {
    document.getElementById(id).textContent = text;
  };

  async function start(launch) {
    const verifier = random();
    const state = random();
    sessionStorage.setItem("demo-app", JSON.stringify({ verifier, state }));
    const challenge = encoded(
      await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier)),
    );
    const query = new URLSearchParams({
      response_type: "code",
      client_id: client,
      redirect_uri: home,
      scope: launch ? launchScope : scope,
      state,
      aud: issuer + "/fhir",
      code_challenge: challenge,
      code_challenge_method: "S256",
    });
    if (launch) query.set("launch", launch);
    location.assign(issuer + "/oauth/authorize?" + query);
  }

  async function finish(code, state) {
    const kept = JSON.parse(sessionStorage.getItem("demo-app") || "{}");
    sessionStorage.removeItem("demo-app");
    history.replaceState(null, "", home);
    if (!kept.state || kept.state !== state) return refused("state");
    const answer = await fetch(issuer + "/oauth/token", {
      method: "POST",
      body: new URLSearchParams({
        grant_type: "authorization_code",
        client_id: client,
        code,
        redirect_uri: home,
        code_verifier: kept.verifier,
      }),
    });
    const token = await answer.json();
    if (!answer.ok) return refused(token.error);
    const read = async (path) => {
      const found = await fetch(issuer + "/fhir/" + path, {
        headers: { Authorization: "Bearer " + token.access_token, Accept: "application/fhir+json" },
      });
      return found.ok ? found.json() : null;
    };
    const patient = token.patient ? await read("Patient/" + token.patient) : null;
    const name = patient && patient.name && patient.name[0];
    show("demo-patient", name ? name.text || [...(name.given || []), name.family].join(" ") : "–");
    for (const [id, type] of [["demo-observations", "Observation"], ["demo-documents", "DocumentReference"]]) {
      const found = await read(type + "?_summary=count&patient=" + encodeURIComponent(token.patient || ""));
      show(id, found && found.resourceType === "Bundle" ? String(found.total) : "–");
    }
    show("demo-scope", token.scope);
    document.getElementById("demo-result").hidden = false;
  }

  function refused(why) {
    show("demo-why", why);
    document.getElementById("demo-refused").hidden = false;
  }

  document.getElementById("demo-start").addEventListener("click", () => start(""));
  if (asked.get("code")) finish(asked.get("code"), asked.get("state"));
  else if (asked.get("error")) refused(asked.get("error"));
  else if (asked.get("launch") && asked.get("iss") === issuer + "/fhir") start(asked.get("launch"));
})();
