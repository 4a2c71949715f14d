// Finds what a person would name: a kind of control, and the name that is read aloud for it. What an open
// dialog covers is not found. Of several the best match is answered: the same name, then one that begins
// so, then one that contains it.
(kind, name) => {
  const kinds = {
    button: "button, input[type=submit]",
    checkbox: "input[type=checkbox]",
    field: "input:not([type=checkbox], [type=hidden], [type=submit]), select, textarea",
    heading: "h1, h2, h3",
    link: "a[href]",
  };
  const nameOf = (element) => {
    const labels = [...(element.labels ?? [])].map((label) => label.innerText).join(" ");
    return (element.getAttribute("aria-label") || labels || element.innerText || element.title || "").trim();
  };
  const root = [...document.querySelectorAll("dialog[open]")].pop() ?? document;
  const wanted = name.toLowerCase();
  const rank = (found) => [found === wanted, found.startsWith(wanted), found.includes(wanted)].indexOf(true);
  return [...root.querySelectorAll(kinds[kind])]
    .filter((element) => element.checkVisibility({ visibilityProperty: true }))
    .map((element) => [rank(nameOf(element).toLowerCase()), element])
    .filter(([place]) => place >= 0)
    .sort(([one], [other]) => one - other)
    .map(([, element]) => element)[0] ?? null;
}
