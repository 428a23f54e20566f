// Draws the description of the interface from itself; nothing is loaded from elsewhere.
(async () => {
  "use strict";
  const place = document.querySelector("[data-openapi]");
  if (!place) return;
  const api = await (await fetch(place.dataset.openapi)).json();
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const resolve = (one) =>
    one?.$ref ? one.$ref.slice(2).split("/").reduce((at, key) => at?.[key], api) : one;
  const kind = (schema) => {
    const found = resolve(schema) ?? {};
    if (found.type === "array") return `${kind(found.items)}[]`;
    return [].concat(found.type ?? "").join(" | ") + (found.format ? ` (${found.format})` : "");
  };
  const rows = (schema) => {
    const found = resolve(schema) ?? {};
    const body = found.type === "array" ? resolve(found.items) : found;
    const needed = new Set(body?.required ?? []);
    return Object.entries(body?.properties ?? {}).map(([name, one]) =>
      make("tr", {}, make("td", {}, make("code", {}, name + (needed.has(name) ? " *" : ""))),
        make("td", {}, kind(one)),
        make("td", {}, resolve(one)?.description ?? resolve(one)?.pattern ?? "")));
  };
  const table = (title, body) => body.length === 0 ? "" : make("div", { class: "mt-2" },
    make("div", { class: "text-secondary" }, title),
    make("div", { class: "kk-table-wrap" },
      make("table", { class: "kk-table" }, make("tbody", {}, ...body))));
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, one] of Object.entries(methods)) {
      if (!["get", "post", "put", "patch", "delete"].includes(method)) continue;
      const given = [...(methods.parameters ?? []), ...(one.parameters ?? [])].map(resolve);
      const answer = Object.entries(one.responses).find(([status]) => status.startsWith("2"));
      const body = Object.values(one.requestBody?.content ?? {})[0]?.schema;
      const result = Object.values(resolve(answer?.[1])?.content ?? {})[0]?.schema;
      place.append(make("section", { class: "card" }, make("div", { class: "card-body" },
        make("h2", {}, make("span", { class: "kk-badge" + (method === "get" ? "" : " warn") },
          method.toUpperCase()), " ", make("code", {}, path)),
        make("p", {}, one.summary ?? ""),
        table("Parameters", given.map((p) => make("tr", {},
          make("td", {}, make("code", {}, p.name + (p.required ? " *" : ""))),
          make("td", {}, `${p.in}, ${kind(p.schema)}`),
          make("td", {}, p.description ?? (resolve(p.schema)?.enum ?? []).join(", "))))),
        table("Body", rows(body)),
        table(`Answer ${answer?.[0] ?? ""}`, rows(result)))));
    }
  }
})();
