// Requests. What the server refuses comes as an Error whose `lines` are the command line's own words.

const lost = document.getElementById("lost");

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...options });
  } catch {
    lost.hidden = false;
    throw Object.assign(new Error("no answer"), { lines: ["the page's server does not answer"], status: 0 });
  }
  lost.hidden = true;
  const content = await answer.json().catch(() => ({}));
  if (answer.ok) return content;
  const lines = [content.detail ?? "the request failed"].flat();
  throw Object.assign(new Error(lines.join("\n")), { lines, status: answer.status });
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
