// Moments that were taken along, kept in this browser.

const KEY = "hearsight-basket";

export function held() {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(found) ? found : [];
  } catch {
    return [];
  }
}

// Adds a moment, once; how many there are then.
export function keep(moment) {
  const same = (one) => one.film === moment.film && one.row === moment.row && one.time === moment.time;
  const all = [...held().filter((one) => !same(one)), moment];
  localStorage.setItem(KEY, JSON.stringify(all));
  return all.length;
}

export function drop(place) {
  const all = held();
  all.splice(place, 1);
  localStorage.setItem(KEY, JSON.stringify(all));
}

export function empty() {
  localStorage.removeItem(KEY);
}
