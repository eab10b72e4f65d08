/** The mark: authority that narrows. */
export function Mark({ className }: { className?: string }) {
  return (
    <svg viewBox="0 0 32 32" aria-hidden="true" className={className}>
      <rect width="32" height="32" rx="8.5" fill="currentColor" />
      <path
        d="M8 9.5h16M11 16h10M14 22.5h4"
        className="stroke-page"
        strokeWidth="2.8"
        strokeLinecap="round"
        fill="none"
      />
    </svg>
  );
}
