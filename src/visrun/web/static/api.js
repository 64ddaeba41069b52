// Requests. What the server refuses comes as an Error whose `lines` are the command line's own words.

const lost = document.getElementById("lost"),
  away = lost.textContent;

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...options });
  } catch {
    tell(away);
    throw Object.assign(new Error("no answer"), { lines: ["the page's server does not answer"], status: 0 });
  }
  tell(
    answer.status === 403
      ? "This page belongs to an earlier start of its server: open the address that visrun ui printed."
      : "",
  );
  const content = await answer.json().catch(() => ({}));
  if (answer.ok) return content;
  const lines = [content.detail ?? "the request failed"].flat();
  throw Object.assign(new Error(lines.join("\n")), { lines, status: answer.status });
}

function tell(text) {
  lost.hidden = text === "";
  if (text && lost.textContent !== text) lost.textContent = text;
}

export const get = (path) => ask(path);

export const post = (path, content = {}) =>
  ask(path, {
    method: "POST",
    headers: { "content-type": "application/json", "x-visrun": "1" },
    body: JSON.stringify(content),
  });

// Names one click: the server starts it once, however often the request arrives.
export const ticket = () => crypto.randomUUID();
