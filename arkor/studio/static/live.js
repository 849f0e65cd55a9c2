// Parts of a page brought up to date from the same page, fetched anew: it is made in one place.
export async function fetchPage(address = location.href, signal) {
  let answer;
  try {
    answer = await fetch(address, { signal, headers: { Accept: "text/html" } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("Studio does not answer; is `arkor dev` still running?");
  }
  if (!answer.ok) throw new Error(`Studio answered ${answer.status}`);
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

const told = new Map();

// Replaces the element with this id by that of `page` where it says something else. What was
// opened stays open, what was chosen chosen, and nothing is taken from under the keyboard.
export function renew(page, id) {
  const fresh = page.getElementById(id);
  const old = document.getElementById(id);
  if (!fresh || !old) return false;
  const says = fresh.outerHTML;
  if (told.get(id) === says) return false;
  const selection = getSelection();
  if (!selection.isCollapsed && old.contains(selection.anchorNode)) return false;
  told.set(id, says);
  keep(old, fresh);
  const focused = old.contains(document.activeElement) ? path(old, document.activeElement) : null;
  const scrolled = [...old.querySelectorAll(".scroll, .saved-box")].map((box) => [box.scrollLeft, box.scrollTop]);
  old.replaceWith(document.adoptNode(fresh));
  fresh.querySelectorAll(".scroll, .saved-box").forEach((box, n) => {
    if (scrolled[n]) [box.scrollLeft, box.scrollTop] = scrolled[n];
  });
  if (focused) find(fresh, focused)?.focus({ preventScroll: true });
  return true;
}

function keep(old, fresh) {
  const opened = [...old.querySelectorAll("details")];
  fresh.querySelectorAll("details").forEach((each, n) => { if (opened[n]) each.open = opened[n].open; });
  const chosen = new Set([...old.querySelectorAll("input:checked")].map((each) => each.value));
  fresh.querySelectorAll("input[type=checkbox]").forEach((each) => { each.checked = chosen.has(each.value); });
}

function path(from, to) {
  const places = [];
  for (let each = to; each !== from; each = each.parentElement) {
    places.unshift([...each.parentElement.children].indexOf(each));
  }
  return places;
}

const find = (from, places) => places.reduce((each, place) => each?.children[place], from);
