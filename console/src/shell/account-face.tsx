import type { Session } from "../api/types";

export const accountLook = "flex min-h-10 items-center gap-2.5 rounded-lg px-2 hover:bg-sunken";

/** Who is signed in, on the button that opens their menu. */
export function AccountFace({ session }: { session: Session }) {
  return (
    <>
      <span
        aria-hidden
        className="grid size-7 place-items-center rounded-full bg-accent-wash text-sm font-semibold uppercase text-accent"
      >
        {session.name.slice(0, 1)}
      </span>
      <span className="hidden text-left leading-tight sm:block">
        <span className="block text-sm font-medium">{session.name}</span>
        <span className="block text-xs text-faint">{session.tenant}</span>
      </span>
    </>
  );
}
