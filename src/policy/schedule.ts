/** When a route is open: the windows of a schedule by weekday, in UTC, as policy reads them. */
import type { Schedule } from '../config/settings.ts';

export type Day = Schedule['days'][number];

export const WEEK: readonly Day[] = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
const WEEKDAYS = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];
const MINUTES_PER_DAY = 1_440;

/**
 * Windows [from, to) in minutes, by weekday. If `to` is not after `from` the window runs over midnight: it belongs to the
 * day it begins on and ends on the next.
 */
export function windowsByWeekday({ days, from, to }: Schedule): Readonly<Record<string, readonly [number, number][]>> {
  const [start, end] = [minutes(from), minutes(to)];
  const windows = new Map<string, [number, number][]>();
  const open = (day: number, window: [number, number]) => {
    if (window[0] >= window[1]) return;
    const weekday = WEEKDAYS[day % WEEK.length]!;
    windows.set(weekday, [...(windows.get(weekday) ?? []), window]);
  };
  for (const day of new Set(days)) {
    const position = WEEK.indexOf(day);
    if (start < end) {
      open(position, [start, end]);
    } else {
      open(position, [start, MINUTES_PER_DAY]);
      open(position + 1, [0, end]);
    }
  }
  return Object.fromEntries(windows);
}

/** True if there is no schedule or it is open at this time, milliseconds since the epoch. */
export function isOpen(when: Schedule | undefined, timeMs: number): boolean {
  if (when === undefined) return true;
  const { weekday, minute } = moment(timeMs);
  return (windowsByWeekday(when)[weekday] ?? []).some(([from, to]) => from <= minute && minute < to);
}

/** The schedule widened as little as whole hours and days allow to be open at this time; undefined: no schedule. */
export function widened(when: Schedule, timeMs: number): Schedule | undefined {
  const { day, minute } = moment(timeMs);
  const hour = Math.floor(minute / 60);
  const days = WEEK.filter((name) => name === day || when.days.includes(name));
  const withDay = { ...when, days };
  if (isOpen(withDay, timeMs)) return withDay;
  const longer: Schedule[] = [
    { ...withDay, from: clock(hour) },
    { ...withDay, to: clock(hour + 1) },
  ];
  return longer.filter((schedule) => isOpen(schedule, timeMs)).sort((a, b) => openMinutes(a) - openMinutes(b))[0];
}

function openMinutes(when: Schedule): number {
  const windows = Object.values(windowsByWeekday(when)).flat();
  return windows.reduce((sum, [from, to]) => sum + to - from, 0);
}

function moment(timeMs: number): { day: Day; weekday: string; minute: number } {
  const time = new Date(timeMs);
  const position = (time.getUTCDay() + 6) % WEEK.length;
  return {
    day: WEEK[position]!,
    weekday: WEEKDAYS[position]!,
    minute: time.getUTCHours() * 60 + time.getUTCMinutes(),
  };
}

function minutes(text: string): number {
  const [hours, rest] = text.split(':');
  return Number(hours) * 60 + Number(rest);
}

function clock(hour: number): string {
  return `${String(hour % 24).padStart(2, '0')}:00`;
}
